"""A server of one or several processes with a data folder of its own, whatever its brand."""

import fcntl
import json
import os
import shutil
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from rapport_stack import ports, process
from rapport_stack.errors import PortTakenError, StackError, diagnose

if TYPE_CHECKING:
    import subprocess
    from io import TextIOWrapper

READY_WITHIN: Final = 60.0
ATTEMPTS: Final = 5
NEEDED_BYTES: Final = 512 * 1024 * 1024


class Member:
    """One process of a cluster.

    Attributes:
        name: for people, such as "mongod 1".
        folder: everything this member writes.
        data: what it stores; may be deleted while it does not run (or while it does, to see what happens).
        log: what this run said; the run before is beside it as `*.previous`.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, argv: Sequence[str | Path]) -> None:
        """Start the process; being ready is the cluster's business."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.previous"))
        self._process = process.spawn(argv, log=self.log, cwd=self.folder)

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The process's id while it lives."""
        return self._process.pid if self._process is not None and self.running else None

    def terminate(self) -> None:
        """Ask the process to end, without waiting."""
        if self._process is not None:
            process.terminate(self._process)

    def stop(self, grace: float) -> None:
        """End the process in order, by force after `grace` seconds."""
        if self._process is not None:
            process.stop(self._process, grace)

    def kill(self) -> None:
        """kill -9 this member. The cluster's `start` brings it back."""
        if self._process is not None:
            process.kill(self._process)

    def freeze(self) -> None:
        """Halt the process as it is (SIGSTOP): it keeps its connections and answers nothing."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def failure(self) -> StackError:
        """Why the process ended, after it did."""
        said = self.log.read_text(errors="replace")[-20_000:] if self.log.exists() else ""
        returncode = self._process.returncode if self._process is not None else 0
        return diagnose(self.name, returncode, said, str(self.log))


class Cluster(ABC):
    """Real server processes that answer together, on ports and data that stay the same between starts.

    A context manager: `with MongoServer(folder) as mongo:` starts and stops it.

    Args:
        brand: for people, such as "MongoDB".
        folder: everything the cluster writes; kept until `wipe`.
        fixed_ports: listen on these or not at all; by default free ones are chosen at the first start, and remembered in
            the folder.
    """

    def __init__(self, brand: str, folder: Path, port_count: int, fixed_ports: Sequence[int] | None) -> None:
        if fixed_ports is not None and len(fixed_ports) != port_count:
            raise ValueError(f"{brand} needs {port_count} ports, not {len(fixed_ports)}")
        self.brand = brand
        self.folder = folder.absolute()
        self.ports: list[int] = list(fixed_ports or ())
        self._fixed = fixed_ports is not None
        self._port_count = port_count
        self._lock: TextIOWrapper | None = None
        self._launched: list[Member] = []

    @property
    @abstractmethod
    def _all(self) -> Sequence[Member]: ...

    @abstractmethod
    def _prepare(self) -> None:
        """Bring what the processes need: programs, formatted folders, configuration with the present ports."""

    @abstractmethod
    def _command(self, member: Member) -> Sequence[str | Path]: ...

    @abstractmethod
    def _assemble(self) -> None:
        """Wait until the started processes answer as one, with `_await`."""

    @property
    @abstractmethod
    def _grace(self) -> float: ...

    @property
    def running(self) -> bool:
        """Whether every process lives."""
        return all(member.running for member in self._all)

    @property
    def pids(self) -> list[int]:
        """Ids of the processes that live."""
        return [member.pid for member in self._all if member.pid is not None]

    def start(self) -> None:
        """Start what does not run yet and wait until everything is ready; StackError when it cannot be."""
        self.launch()
        self.await_ready()

    def launch(self) -> None:
        """Start what does not run yet without waiting: `await_ready` must follow."""
        self._launched = [member for member in self._all if not member.running]
        try:
            self._take_folder()
            self._take_ports()
            self._prepare()
            for member in self._launched:
                member.start(self._command(member))
        except BaseException:
            self._give_up()
            raise

    def await_ready(self) -> None:
        """Wait until the launched cluster can be used; when it cannot, nothing stays of what was launched."""
        try:
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    self._assemble()
                except PortTakenError:
                    if self._fixed or attempt == ATTEMPTS or len(self._launched) < len(self._all):
                        raise
                    self.kill()
                    self.ports = []
                    self._forget_ports()
                    self.launch()
                else:
                    # Whoever uses it knows where it is: from now on it comes back there or not at all.
                    self._fixed = True
                    return
        except BaseException:
            self._give_up()
            raise

    def _give_up(self) -> None:
        """End what could not be started. What ran before goes on: a member that does not come back costs no other one."""
        for member in self._launched:
            member.kill()
        if not self.pids:
            self._release_folder()

    def stop(self) -> None:
        """End every process in order; the data stays."""
        # All at once: the last of three would wait for a quorum that has left.
        for member in self._all:
            member.terminate()
        for member in self._all:
            member.stop(self._grace)
        self._release_folder()

    def kill(self) -> None:
        """kill -9 every process; the data stays as it is."""
        for member in self._all:
            member.kill()
        self._release_folder()

    def lose(self) -> None:
        """Delete the data under the running processes, then kill -9 them: they start again with nothing."""
        for member in self._all:
            shutil.rmtree(member.data, ignore_errors=True)
        self.kill()

    def wipe(self) -> None:
        """Delete all data while nothing runs; the ports stay the same."""
        if self.pids:
            raise StackError(f"{self.brand} runs, so its data cannot be wiped.", "Stop it first.")
        for member in self._all:
            if member.folder.exists():
                shutil.rmtree(member.folder)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _await(self, what: str, condition: Callable[[], bool], members: Sequence[Member] | None = None) -> None:
        """Wait for the condition as long as the processes live, all of them unless some are named."""
        deadline = time.monotonic() + READY_WITHIN
        # First who has died: the port that opens may be the one of the program that took it from them.
        self._refuse_dead(members or self._all)
        while not condition():
            self._refuse_dead(members or self._all)
            if time.monotonic() > deadline:
                raise StackError(
                    f"{self.brand} runs but {what} did not come within {READY_WITHIN:.0f} seconds.",
                    f"See its logs: {self.folder}/*/server.log",
                )
            time.sleep(0.02)

    def _refuse_dead(self, members: Sequence[Member]) -> None:
        for member in members:
            if not member.running:
                raise member.failure()

    def _take_folder(self) -> None:
        if self._lock is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self.folder).free < NEEDED_BYTES:
            raise StackError(
                f"The disk of {self.folder} has less than {NEEDED_BYTES >> 20} MB left, too little for {self.brand}.",
                "Free some space, or use a data folder on another disk.",
            )
        lock = (self.folder / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip()
            lock.close()
            raise StackError(
                f"{self.brand} already runs on {self.folder}, started by process {owner}.",
                "Stop that one, or use another data folder.",
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock

    def _release_folder(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_ports(self) -> None:
        if self._fixed:
            self._refuse_taken_ports()
            return
        remembered = self.folder / "ports.json"
        if not self.ports and remembered.exists():
            self.ports = json.loads(remembered.read_text())
        usable = len(self.ports) == self._port_count and (self.pids or all(map(ports.is_free, self.ports)))
        if not usable:
            self.ports = ports.choose(self._port_count)
        remembered.write_text(json.dumps(self.ports))

    def _forget_ports(self) -> None:
        (self.folder / "ports.json").unlink(missing_ok=True)

    def _refuse_taken_ports(self) -> None:
        taken = [] if self.pids else [port for port in self.ports if not ports.is_free(port)]
        if taken:
            raise PortTakenError(
                f"Port {taken[0]} for {self.brand} is taken by another program.",
                "Stop that program, choose another port, or leave the choice to the stack.",
            )
