"""`python -m rapport_cli.running.supervisor OPTIONS`: the process behind `rapport up`. OPTIONS is one JSON object.

Standard input is a lifeline to whoever started it: until everything is ready its end means "stop", afterwards
nothing. SIGTERM (`rapport down`) and Ctrl-C stop everything in order; kill -9 takes the children along.
"""

import datetime as dt
import json
import os
import signal
import sys
import threading
from typing import Any

from rapport_stack import StackError

from rapport_cli.errors import CommandError
from rapport_cli.running.compose import ComposePlatform
from rapport_cli.running.lifecycle import Lifecycle
from rapport_cli.running.platform import Platform
from rapport_cli.running.state import Folder, State
from rapport_cli.settings import CliSettings


class _Stop(Exception):
    pass


def main(options: dict[str, Any]) -> int:
    settings = CliSettings.from_environment()
    folder = Folder(settings.folder)
    ending = threading.Event()

    def stop(*_: object) -> None:
        if not ending.is_set():
            ending.set()
            raise _Stop

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        with folder.held():
            platform = _platform(settings, folder, options)
            threading.Thread(target=_hold, args=(platform,), daemon=True).start()
            with platform:
                while True:
                    signal.pause()
    except _Stop:
        return 0
    except (StackError, CommandError):
        return 1  # whoever waits reads it from the state


def _platform(settings: CliSettings, folder: Folder, options: dict[str, Any]) -> Lifecycle:
    """Raises StackError for a stack that cannot be; the state says it to whoever waits."""
    if options.pop("compose", False):
        return ComposePlatform(settings, folder, **options)
    try:
        return Platform(settings, folder, **options)
    except StackError as error:
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        folder.write(State(os.getpid(), now, options["mode"], error=(error.cause, error.cure)))
        raise


def _hold(platform: Lifecycle) -> None:
    """Wait for the other end of standard input to close."""
    while os.read(0, 4096):
        continue
    if not platform.state.ready:
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
