"""kill -9 of the process behind `rapport up`: of servers, development programs and services nothing stays."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rapport_cli.running.state import SERVICES, Folder
from rapport_cli.settings import CliSettings
from rapport_stack.process import alive, until


@pytest.fixture
def supervisor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    settings = replace(CliSettings.from_environment(), folder=tmp_path)
    options = json.dumps({"mode": request.config.getoption("--stack")})
    # Its standard input is the lifeline to us: while it starts, the end of it would mean "stop".
    with subprocess.Popen(
        [sys.executable, "-m", "rapport_cli.running.supervisor", options],
        env={**settings.inherited, "RAPPORT_FOLDER": str(settings.folder)},
        stdin=subprocess.PIPE,
    ) as process:
        yield process
        process.kill()


def test_kill_of_the_supervisor_leaves_no_process(supervisor: subprocess.Popen[bytes], tmp_path: Path) -> None:
    folder = Folder(tmp_path)

    def ready() -> bool:
        state = folder.last()
        return supervisor.poll() is not None or (state is not None and state.ready)

    assert until(ready, seconds=120, every=0.1)
    assert supervisor.poll() is None, folder.last()
    state = folder.state()
    services = [each.pid for each in state.processes.values()]
    assert len(services) == 2 * len(SERVICES)
    offspring = descendants(supervisor.pid)
    assert set(services) < offspring, "the servers and the development programs are among them"
    assert all(map(alive, offspring))

    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait(10)
    assert until(lambda: not any(map(alive, offspring)), seconds=10), [pid for pid in offspring if alive(pid)]
    assert not folder.taken(), "whoever starts it next finds the folder free"


def descendants(ancestor: int) -> set[int]:
    """Every process that was started by this one, or by one of those."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        parents[int(stat.parent.name)] = int(fields[1])
    found = {ancestor}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {ancestor}
