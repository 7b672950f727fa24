"""What cannot start says why and what to do."""

import errno
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from rapport_stack import KafkaServer, MongoServer, PortTakenError, Stack, StackError, StackSettings
from rapport_stack.errors import diagnose
from rapport_stack.jars import Jar, kafka_folder, kafka_jars, pinned
from rapport_stack.mongo import find_mongod
from rapport_stack.ports import choose


@pytest.fixture
def settings(tmp_path: Path) -> StackSettings:
    return StackSettings(cache=tmp_path / "cache")


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("library", "cure"),
    [
        ("libcurl.so.4", "apt-get install libcurl4"),
        ("libssl.so.3", "apt-get install libssl3"),
        ("libcrypto.so.3", "apt-get install libssl3"),
        ("libstrange.so.9", "apt-file search libstrange.so.9"),
    ],
)
def test_missing_shared_library(tmp_path: Path, settings: StackSettings, library: str, cure: str) -> None:
    said = f"mongod: error while loading shared libraries: {library}: cannot open shared object file: No such file"
    mongod = script(tmp_path / "mongod", f"echo '{said}' >&2; exit 127")
    server = MongoServer(tmp_path / "mongo", settings=replace(settings, mongod=mongod))
    with pytest.raises(StackError, match=library) as refusal:
        server.start()
    assert cure in refusal.value.cure
    assert "MONGOD_BIN" in refusal.value.cure
    assert server.pids == []


@pytest.mark.parametrize(
    ("program", "cause"),
    [
        ("kill -ILL $$", "processor"),
        ("echo 'No space left on device'; exit 1", "disk is full"),
        ('echo "/lib/libc.so.6: version \\`GLIBC_2.34\' not found"; exit 1', "newer C library"),
        ("kill -KILL $$", "killed from outside"),
        ("echo strange; exit 14", "ended with code 14 while it started:\nstrange"),
    ],
)
def test_a_mongod_that_ends_at_once(tmp_path: Path, settings: StackSettings, program: str, cause: str) -> None:
    mongod = script(tmp_path / "mongod", program)
    with pytest.raises(StackError, match=cause):
        MongoServer(tmp_path / "mongo", settings=replace(settings, mongod=mongod)).start()


def test_no_mongod_for_this_platform(monkeypatch: pytest.MonkeyPatch, settings: StackSettings) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(StackError, match="no mongod for this platform") as refusal:
        find_mongod(settings)
    assert "MONGOD_BIN" in refusal.value.cure


def test_mongod_bin_must_be_a_program(tmp_path: Path, settings: StackSettings) -> None:
    with pytest.raises(StackError, match="not a program"):
        find_mongod(replace(settings, mongod=tmp_path / "absent"))


def test_mongod_bin_wins_over_path_and_path_over_the_wheel(tmp_path: Path, settings: StackSettings) -> None:
    on_path = script(tmp_path / "mongod", "exit 0")
    chosen = script(tmp_path / "chosen", "exit 0")
    assert find_mongod(replace(settings, search_path=str(tmp_path))) == on_path
    assert find_mongod(replace(settings, search_path=str(tmp_path), mongod=chosen)) == chosen
    assert find_mongod(settings).name == "mongod"


@pytest.mark.parametrize("server", [MongoServer, KafkaServer])
def test_fixed_port_taken(tmp_path: Path, server: type[MongoServer] | type[KafkaServer]) -> None:
    ports = choose(1 if server is MongoServer else 2)
    with socket.create_server(("127.0.0.1", ports[0])), pytest.raises(PortTakenError, match=str(ports[0])):
        server(tmp_path, fixed_ports=ports).start()


def test_a_chosen_port_lost_to_a_faster_program_is_replaced(tmp_path: Path, settings: StackSettings) -> None:
    real, tried = find_mongod(settings), tmp_path / "tried"
    loses_once = f'if [ -e {tried} ]; then exec {real} "$@"; fi; touch {tried}; echo Address already in use; exit 48'
    mongod = script(tmp_path / "mongod", loses_once)
    server = MongoServer(tmp_path / "mongo", settings=replace(settings, mongod=mongod))
    server.launch()
    first = server.ports
    server.await_ready()
    assert server.running
    assert server.ports != first
    server.stop()


def test_two_servers_on_one_folder(tmp_path: Path) -> None:
    with MongoServer(tmp_path), pytest.raises(StackError, match=rf"already runs .* process {os.getpid()}"):
        MongoServer(tmp_path).start()


def test_running_data_is_not_wiped(tmp_path: Path) -> None:
    with MongoServer(tmp_path) as server, pytest.raises(StackError, match="Stop it first"):
        server.wipe()


def test_no_network_for_the_first_download(settings: StackSettings) -> None:
    unreachable = replace(settings, maven_repository="http://127.0.0.1:9/maven2")
    with pytest.raises(StackError, match=r"could not be downloaded from http://127\.0\.0\.1:9/maven2") as refusal:
        kafka_jars(unreachable)
    assert "first start needs a network" in refusal.value.cure


@pytest.fixture
def repository() -> Iterator[str]:
    """A Maven repository in which every file is the same five bytes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"bytes")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_changed_jar_is_refused(settings: StackSettings, repository: str) -> None:
    changed = replace(settings, maven_repository=repository)
    with pytest.raises(StackError, match="is not the file it should be"):
        kafka_jars(changed, pinned()[:2])
    assert [path.name for path in kafka_folder(settings).iterdir()] == []


def test_a_right_jar_is_kept_and_needs_no_network_again(settings: StackSettings, repository: str) -> None:
    digest = "277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9"  # of "bytes"
    jar = Jar(digest, 5, "org.example:thing:1.0")
    (path,) = kafka_jars(replace(settings, maven_repository=repository), [jar])
    assert path.read_bytes() == b"bytes"
    assert kafka_jars(replace(settings, maven_repository="http://127.0.0.1:9"), [jar]) == [path]
    path.write_bytes(b"byt")  # cut short by something: fetched again
    assert kafka_jars(replace(settings, maven_repository=repository), [jar]) == [path]
    assert path.read_bytes() == b"bytes"


def test_a_full_disk_while_downloading(
    settings: StackSettings, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", full)
    with pytest.raises(StackError, match="disk is full"):
        kafka_jars(replace(settings, maven_repository=repository))


def test_every_kind_of_end_has_cause_and_cure() -> None:
    for code, said in [(1, ""), (-signal.SIGSEGV, "x"), (48, "Address already in use")]:
        error = diagnose("mongod", code, said, "/log")
        assert error.cause
        assert error.cure


@pytest.mark.parametrize(
    ("uri", "bootstrap", "cause"),
    [
        (None, None, "RAPPORT_MONGO_URI"),
        ("mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=200", "127.0.0.1:9", "MongoDB at RAPPORT_MONGO_URI"),
    ],
)
def test_external_servers_must_be_named_and_answer(
    tmp_path: Path, settings: StackSettings, uri: str | None, bootstrap: str | None, cause: str
) -> None:
    stack = Stack("external", tmp_path, settings=replace(settings, mongo_uri=uri, kafka_bootstrap=bootstrap))
    with pytest.raises(StackError, match=cause):
        stack.start()
    with pytest.raises(StackError, match="RAPPORT_KAFKA_BOOTSTRAP"):
        stack.kafka.start()
    with pytest.raises(StackError, match="not killed from here"):
        stack.mongo.kill()
