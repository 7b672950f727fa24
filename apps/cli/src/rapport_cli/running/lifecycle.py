"""The life of a platform, wherever its processes run: started, looked after, stopped, and who is told of it."""

import datetime as dt
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from rapport_stack import StackError
from rapport_stack.workbench import Workbench

from rapport_cli.errors import CommandError
from rapport_cli.running.state import Folder, State
from rapport_cli.settings import CliSettings


class Lifecycle(ABC):
    """`state` is what other commands may know; it is in the folder too, and `told` hears of every change.

    Raises:
        StackError, CommandError: from `start`; then nothing stays.
    """

    look_every: float
    """Seconds between looks after what runs."""

    def __init__(self, settings: CliSettings, folder: Folder, stack: str, told: Callable[[State], None]) -> None:
        self.folder = folder
        self.settings = settings
        self.told = told
        self.state = State(pid=os.getpid(), since=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), stack=stack)
        self._ending = threading.Event()
        self._keeper: threading.Thread | None = None

    @property
    def bench(self) -> Workbench:
        """The development programs. Raises CommandError while they do not run."""
        found = Workbench.read(self.folder.workbench)
        if found is None:
            raise CommandError("The development programs do not run.", f"See {self._bench_log()}, then: rapport down")
        return found

    def start(self) -> None:
        """Start everything, wait until all of it is ready, then look after it until the end."""
        try:
            self._start()
        except BaseException as error:
            cure = getattr(error, "cure", f"See the logs in {self.folder.logs}")
            self.state.error = (getattr(error, "cause", f"{type(error).__name__}: {error}"), cure)
            self.stop()
            raise
        self.state.ready = True
        self._begin("")
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self._keeper.start()

    def stop(self) -> None:
        """Stop everything, in order."""
        self._ending.set()
        if self._keeper is not None:
            self._keeper.join()
        self.state.ready = False
        self._begin("stopping")
        self._stop()
        self._begin("stopped")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def _start(self) -> None: ...

    @abstractmethod
    def _look_after(self) -> None:
        """Once: note how everything is, start again what fell."""

    @abstractmethod
    def _stop(self) -> None: ...

    @abstractmethod
    def _bench_log(self) -> str: ...

    def _begin(self, phase: str) -> None:
        self.state.phase = phase
        self._tell()

    def _tell(self) -> None:
        self.folder.write(self.state)
        self.told(self.state)

    def _keep(self) -> None:
        while not self._ending.wait(self.look_every):
            with tolerated():
                self._look_after()
            with tolerated():
                self._tell()


@contextmanager
def tolerated() -> Iterator[None]:
    """What cannot be done now, for a full disk or a port that is taken, is tried again by the next look."""
    try:
        yield
    except (StackError, CommandError, OSError):
        time.sleep(2.0)
