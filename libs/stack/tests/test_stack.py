"""Both servers together, and nothing of them left however their parent ends."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rapport_stack import KafkaServer, MongoServer, Stack, StackError, StackSettings
from rapport_stack.process import alive, until

BOTH = """
import json, signal, sys, threading
from pathlib import Path
from rapport_stack import Stack

signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that run in the background hand on that it is ignored
with Stack(data=Path(sys.argv[1])) as stack:
    print(json.dumps(stack.mongo.pids + stack.kafka.pids), flush=True)
    threading.Event().wait()
"""

FAILING = """
import json, sys
from pathlib import Path
from rapport_stack import MongoServer

with MongoServer(Path(sys.argv[1])) as mongo:
    print(json.dumps(mongo.pids), flush=True)
    raise RuntimeError("something else went wrong")
"""

FORGETFUL = """
import json, sys
from pathlib import Path
from rapport_stack import MongoServer

mongo = MongoServer(Path(sys.argv[1]))
mongo.start()
print(json.dumps(mongo.pids), flush=True)
"""


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A program that starts the stack, prints the servers' ids and waits."""
    program = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", BOTH, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    yield program
    program.kill()
    program.communicate()


def servers_of(program: subprocess.Popen[str]) -> list[int]:
    assert program.stdout is not None
    return list(json.loads(program.stdout.readline()))


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_no_server_outlives_its_parent(parent: subprocess.Popen[str], ending: signal.Signals) -> None:
    pids = servers_of(parent)
    assert len(pids) == 2
    assert all(map(alive, pids))
    parent.send_signal(ending)
    parent.wait(30)
    assert until(lambda: not any(map(alive, pids)), seconds=10)


@pytest.mark.parametrize("program", [FAILING, FORGETFUL])
def test_no_server_outlives_an_error_or_a_forgotten_stop(tmp_path: Path, program: str) -> None:
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    (pid,) = json.loads(done.stdout)
    assert until(lambda: not alive(pid), seconds=10)


def test_when_one_cannot_start_neither_stays(tmp_path: Path) -> None:
    nowhere = StackSettings(cache=tmp_path / "cache", maven_repository="http://127.0.0.1:9")
    stack = Stack(data=tmp_path / "data", settings=nowhere)
    with pytest.raises(StackError, match="could not be downloaded"):
        stack.start()
    assert stack.mongo.pids == []


def test_an_external_stack_is_used_and_not_stopped(mongo_server: MongoServer, kafka_server: KafkaServer) -> None:
    administrator = kafka_server.connection
    settings = StackSettings(
        cache=Path("unused"),
        mongo_uri=mongo_server.uri,
        kafka_bootstrap=kafka_server.bootstrap,
        kafka_username=administrator["sasl_plain_username"],
        kafka_password=administrator["sasl_plain_password"],
        kafka_mechanism=administrator["sasl_mechanism"],
    )
    with Stack("external", settings=settings) as stack:
        assert stack.endpoints.mongo_uri == mongo_server.uri
        assert stack.endpoints.kafka == stack.kafka.connection == administrator
        assert stack.kafka.cluster_id == kafka_server.cluster_id
    mongo_server.start()  # finds it running
    assert alive(mongo_server.pids[0])
    assert kafka_server.cluster_id
