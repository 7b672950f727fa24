"""Both servers together, and nothing of them left however their parent ends."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient
from rapport_stack import KafkaServer, MongoServer, Stack, StackError, StackSettings
from rapport_stack.process import until

from .test_process import alive

PARENT = """
import json, sys, threading
from pathlib import Path
from rapport_stack import Stack

def run():
    stack.start()
    print(json.dumps(stack.mongo.pids + stack.kafka.pids), flush=True)

stack = Stack(data=Path(sys.argv[1]))
try:
    run()
    if sys.argv[2] == "raise":
        raise RuntimeError("something else went wrong")
    threading.Event().wait()
finally:
    if sys.argv[2] != "forget":
        stack.stop()
"""


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A program that starts the stack, prints the servers' ids and waits."""
    program = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), "wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    yield program
    program.kill()
    program.communicate()


def servers_of(program: subprocess.Popen[str]) -> list[int]:
    assert program.stdout is not None
    return json.loads(program.stdout.readline())


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_server_outlives_its_parent(parent: subprocess.Popen[str], ending: signal.Signals) -> None:
    pids = servers_of(parent)
    assert len(pids) == 2
    assert all(map(alive, pids))
    parent.send_signal(ending)
    parent.wait(30)
    assert until(lambda: not any(map(alive, pids)), seconds=10)


@pytest.mark.parametrize("mode", ["raise", "forget"])
def test_no_server_outlives_an_error(tmp_path: Path, mode: str) -> None:
    program = PARENT.replace("threading.Event().wait()", "pass")
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), mode], capture_output=True, text=True, check=False
    )
    pids = json.loads(done.stdout)
    assert len(pids) == 2
    assert until(lambda: not any(map(alive, pids)), seconds=10)


def test_a_stack_of_three_and_three_starts_as_one(tmp_path: Path) -> None:
    with Stack(data=tmp_path, mongods=3, brokers=3) as stack:
        assert len(stack.mongo.pids) == len(stack.kafka.pids) == 3
        assert stack.endpoints.mongo_uri.count("127.0.0.1:") == 3
        assert stack.endpoints.kafka_bootstrap.count("127.0.0.1:") == 3


def test_when_one_cannot_start_neither_stays(tmp_path: Path) -> None:
    nowhere = StackSettings(cache=tmp_path / "cache", maven_repository="http://127.0.0.1:9")
    stack = Stack(data=tmp_path / "data", settings=nowhere)
    with pytest.raises(StackError, match="could not be downloaded"):
        stack.start()
    assert stack.mongo.pids == []


def test_an_external_stack_is_used_and_not_stopped(mongo_server: MongoServer, kafka_server: KafkaServer) -> None:
    settings = StackSettings(cache=Path("unused"), mongo_uri=mongo_server.uri, kafka_bootstrap=kafka_server.bootstrap)
    with Stack("external", settings=settings) as stack:
        assert stack.endpoints.mongo_uri == mongo_server.uri
        assert stack.endpoints.kafka_bootstrap == kafka_server.bootstrap
    with MongoClient(mongo_server.uri) as client:
        assert client.admin.command("ping")["ok"] == 1
    assert kafka_server.cluster_id
