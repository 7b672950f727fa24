"""`rapport down`: stop what `rapport up` left running."""

import os
import signal
from typing import Annotated

import typer
from rapport_stack.process import until

from rapport_cli.console import err, out
from rapport_cli.errors import CommandError
from rapport_cli.running.compose import ComposePlatform
from rapport_cli.running.state import Folder
from rapport_cli.settings import CliSettings

STOPS_WITHIN = 60.0


def down(
    *,
    wipe: Annotated[bool, typer.Option("--wipe", help="Delete all data too: the next start begins empty.")] = False,
) -> None:
    """Stop the platform; its data stays unless you ask for --wipe."""
    settings = CliSettings.from_environment()
    folder = Folder(settings.folder)
    if folder.taken():
        state = folder.state()
        os.kill(state.pid, signal.SIGTERM)
        with err.status("stopping"):
            if not until(lambda: not folder.taken(), seconds=STOPS_WITHIN, every=0.1):
                raise CommandError(
                    f"It does not stop (process {state.pid}).",
                    f"End it by force, nothing stays behind: kill -9 {state.pid}",
                )
        out.print("Rapport is stopped.")
    else:
        out.print("Rapport does not run here.")
    last = folder.last()
    if last is not None and last.stack == "containers":
        # Its supervisor has done so, unless it was killed; the volumes it leaves to whoever wants them gone.
        with err.status("removing containers"):
            ComposePlatform(settings, folder, keep=not wipe).stop()
    if wipe:
        folder.wipe()
        out.print("Its data is deleted.")
        if last is not None and last.stack == "external":
            out.print("What the external MongoDB and Kafka hold is not ours to delete.")
