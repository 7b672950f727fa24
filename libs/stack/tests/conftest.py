import subprocess
import sys
import time
from dataclasses import dataclass

import pytest
from rapport_stack.workbench import Workbench


def pytest_ignore_collect(collection_path, config):
    """What needs a Docker engine belongs to the runs that have one."""
    if collection_path.name == "test_containers.py" and config.getoption("--stack") != "containers":
        return True
    return None


@dataclass(frozen=True)
class Started:
    process: subprocess.Popen
    bench: Workbench


def launch(folder, *arguments):
    command = [sys.executable, "-m", "rapport_stack.workbench", "--folder", str(folder), *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603


def stop(process):
    if process.poll() is None:
        process.terminate()
    with process:  # closes its pipes
        process.wait(timeout=15)


def ready(process, folder):
    deadline = time.monotonic() + 30
    while (bench := Workbench.read(folder)) is None or bench.pid != process.pid:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, "the workbench is not ready after 30 s"
        time.sleep(0.02)
    return bench


@pytest.fixture
def launch_workbench(tmp_path):
    """Launch a workbench over one folder, as often as the test likes."""
    launched = []

    def start(*arguments):
        launched.append(launch(tmp_path / "bench", *arguments))
        return launched[-1]

    yield start
    for process in launched:
        stop(process)


@pytest.fixture
def start_workbench(launch_workbench, tmp_path):
    """Launch a workbench and wait until it is ready."""

    def start(*arguments):
        process = launch_workbench(*arguments)
        return Started(process, ready(process, tmp_path / "bench"))

    return start


@pytest.fixture(scope="session")
def workbench(tmp_path_factory):
    """One workbench, a process of its own, for every test that only talks to it."""
    folder = tmp_path_factory.mktemp("workbench")
    process = launch(folder)
    try:
        yield ready(process, folder)
    finally:
        stop(process)
