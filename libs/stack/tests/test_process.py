"""Spawned programs: heard, ended, and never left behind."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from rapport_stack.process import alive, kill, spawn, stop, until


def test_output_and_return_code_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = spawn(
        ["sh", "-c", "echo out; echo err >&2; echo $WORD; pwd; exit 3"], log=log, env={"WORD": "w"}, cwd=tmp_path
    )
    assert program.wait(10) == 3
    assert log.read_text().splitlines() == ["out", "err", "w", str(tmp_path)]


def test_a_program_that_is_not_there_says_so(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert spawn(["/nowhere/program"], log=log).wait(10) == 1
    assert "cannot run /nowhere/program: No such file" in log.read_text()


def test_a_program_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    asked = []
    thread = threading.Thread(target=lambda: asked.append(spawn(["sleep", "600"], log=tmp_path / "log")))
    thread.start()
    thread.join()
    assert not until(lambda: asked[0].poll() is not None, seconds=0.5)
    assert stop(asked[0]) == -signal.SIGTERM


@pytest.mark.parametrize("deaf", [False, True])
def test_stop_is_heard_or_enforced(tmp_path: Path, *, deaf: bool) -> None:
    log = tmp_path / "log"
    program = spawn(["sh", "-c", f"{'trap : TERM;' if deaf else ''} echo ready; while :; do sleep 0.1; done"], log=log)
    assert until(lambda: "ready" in log.read_text(), seconds=10)
    assert stop(program, grace=0.5) == (-signal.SIGKILL if deaf else -signal.SIGTERM)


def test_a_frozen_program_is_stopped_too(tmp_path: Path) -> None:
    program = spawn(["sleep", "600"], log=tmp_path / "log")
    program.send_signal(signal.SIGSTOP)
    assert stop(program) == -signal.SIGTERM


def test_kill_takes_the_whole_group(tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = spawn(["sh", "-c", "sleep 600 & echo $!; wait"], log=log)
    assert until(lambda: log.read_text().endswith("\n"), seconds=10)
    grandchild = int(log.read_text())
    kill(program)
    assert until(lambda: not alive(grandchild), seconds=10)


def test_the_tether_costs_less_than_a_tenth_of_a_second(tmp_path: Path) -> None:
    def cost() -> float:
        began = time.perf_counter()
        spawn(["true"], log=tmp_path / "log").wait(10)
        return time.perf_counter() - began

    assert min(cost() for _ in range(5)) < 0.1


def test_a_program_whose_parent_is_gone_does_not_begin(tmp_path: Path) -> None:
    mark = tmp_path / "began"
    tether = Path(sys.modules["rapport_stack.process"].__file__ or "").with_name("tether.py")
    pid = os.spawnv(  # noqa: S606
        os.P_NOWAIT, sys.executable, [sys.executable, "-I", "-S", str(tether), "1", "touch", str(mark)]
    )
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    assert not mark.exists()
