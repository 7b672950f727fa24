"""Operating-system processes that never outlive the one that started them."""

import functools
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Final

TETHER: Final = Path(__file__).with_name("tether.py")
Spawn = tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]


def spawn(
    argv: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a program that the kernel kills when this process ends, however it ends.

    The program has its own session, so Ctrl-C on the terminal reaches this process alone, which then stops
    the program in order. May be called from any thread.

    Args:
        argv: program and arguments.
        log: file that receives standard output and standard error, appended.
        env: the whole environment of the program; this process's own when absent.
        cwd: folder to run in.
    """
    command = [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), *map(str, argv)]

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(  # noqa: S603 - the caller chooses the program
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                start_new_session=True,
            )

    started: Future[subprocess.Popen[bytes]] = Future()
    _spawner(os.getpid()).put((start, started))
    return started.result()


@functools.cache
def _spawner(pid: int) -> queue.SimpleQueue[Spawn]:
    """The one thread that starts programs.

    A tethered program dies with the thread that forked it, not with the process: forked from a worker
    thread it would be killed as soon as that thread is done. This one lives as long as the process.
    """
    waiting: queue.SimpleQueue[Spawn] = queue.SimpleQueue()

    def serve() -> None:
        while True:
            start, started = waiting.get()
            try:
                started.set_result(start())
            except BaseException as error:  # noqa: BLE001 - it belongs to the caller of spawn
                started.set_exception(error)

    threading.Thread(target=serve, name=f"spawner-{pid}", daemon=True).start()
    return waiting


def terminate(process: subprocess.Popen[bytes]) -> None:
    """Ask a spawned program to end (SIGTERM), without waiting; a frozen one is thawed, else it could not hear."""
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)


def stop(process: subprocess.Popen[bytes], grace: float = 10.0) -> int:
    """End a spawned program: SIGTERM, and SIGKILL to its whole group after `grace` seconds; its return code."""
    if process.poll() is None:
        terminate(process)
        try:
            return process.wait(grace)
        except subprocess.TimeoutExpired:
            kill(process)
    return process.wait()


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9 a spawned program and its group, and wait until it is gone."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def alive(pid: int) -> bool:
    """Whether a process runs, anybody's; one that has ended and waits for its parent does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def until(condition: Callable[[], bool], *, seconds: float, every: float = 0.02) -> bool:
    """Wait until the condition holds, at most `seconds`; whether it does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True
