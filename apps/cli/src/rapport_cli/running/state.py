"""The folder of a platform and what it says of itself there, for every other command to read."""

import base64
import fcntl
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rapport_stack import Endpoints, Stack
from rapport_stack.principals import Credentials

from rapport_cli.errors import CommandError, NotRunning

SERVICES = ("registry", "engagement", "feedback", "measures", "notifications")
"""Every service, in the order in which a person reads them."""

MASTER_KEY_BYTES = 96


@dataclass(slots=True)
class ProcessState:
    """One service process: `state` is starting, running, or why it is not, in words."""

    pid: int
    private: str
    state: str = "starting"
    restarts: int = 0


@dataclass(slots=True)
class State:
    """What runs and where. `phase` is what it is doing until `ready`; `error` is cause and cure when it gave up."""

    pid: int
    since: str
    stack: str
    phase: str = ""
    ready: bool = False
    error: tuple[str, str] | None = None
    mongo_uri: str = ""
    """Without user: who may log in finds the password where it is kept."""
    kafka_bootstrap: str = ""
    servers: dict[str, bool] = field(default_factory=dict)
    workbench: str = ""
    urls: dict[str, str] = field(default_factory=dict)
    processes: dict[str, ProcessState] = field(default_factory=dict)


@dataclass(frozen=True)
class Folder:
    """`.rapport`: data, logs, keys and the state file, all for the owner's eyes only."""

    path: Path

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def workbench(self) -> Path:
        return self.path / "workbench"

    def make(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.logs.mkdir(exist_ok=True, mode=0o700)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the one platform of this folder. Raises CommandError when another one is.

        The kernel lets go of the lock with its process, however that ends.
        """
        self.make()
        with (self.path / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CommandError("Rapport runs here already.", "See it with: rapport status") from None
            yield

    def taken(self) -> bool:
        """Whether a platform runs, starts or stops here."""
        try:
            with (self.path / "lock").open("r") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def write(self, state: State) -> None:
        self.replace("state.json", json.dumps(asdict(state), indent=2))

    def last(self) -> State | None:
        """The newest state, also that of a platform that has ended; None: there never was one."""
        try:
            found: dict[str, Any] = json.loads((self.path / "state.json").read_text())
        except FileNotFoundError:
            return None
        found["processes"] = {name: ProcessState(**each) for name, each in found["processes"].items()}
        found["error"] = tuple(found["error"]) if found["error"] else None
        return State(**found)

    def state(self) -> State:
        """The state of the platform that runs here. Raises NotRunning."""
        state = self.last() if self.taken() else None
        if state is None:
            raise NotRunning
        return state

    def master_key(self) -> str:
        """Base64 of the development keyring's master key, made when first asked for and kept with the data."""
        file = self.path / "master_key"
        if not file.exists():
            self.replace("master_key", base64.b64encode(secrets.token_bytes(MASTER_KEY_BYTES)).decode())
        return file.read_text()

    def endpoints(self, name: str) -> Endpoints:
        """Of a principal at the servers of the platform that runs here. Raises NotRunning."""
        state = self.state()
        if state.stack == "external":
            return Stack("external").endpoints
        return Endpoints(state.mongo_uri, state.kafka_bootstrap).of(name, Credentials.of(self.data))

    def ports(self) -> dict[str, int]:
        """The ports of last time."""
        try:
            remembered: dict[str, int] = json.loads((self.path / "ports.json").read_text())
        except FileNotFoundError:
            return {}
        return remembered

    def remember_ports(self, ports: dict[str, int]) -> None:
        self.replace("ports.json", json.dumps(ports))

    def wipe(self) -> None:
        """Delete what a platform wrote: data, messages, spans, logs.

        The key of the keyring goes with the data that it opens; those of an external MongoDB stay, and so does it.
        """
        last = self.last()
        for part in (self.data, self.workbench, self.logs):
            if part.exists():
                shutil.rmtree(part)
        (self.path / "state.json").unlink(missing_ok=True)
        if last is None or last.stack != "external":
            (self.path / "master_key").unlink(missing_ok=True)

    def replace(self, name: str, text: str) -> None:
        """Nobody ever reads half a file, nor anybody else's."""
        opened, staged = tempfile.mkstemp(dir=self.path, prefix=f".{name}.")  # for the owner's eyes only
        with os.fdopen(opened, "w") as file:
            file.write(text)
        Path(staged).replace(self.path / name)
