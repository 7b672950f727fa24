"""Servers know who asks: rights are what was listed last, and come back with a server that has lost everything."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.protocol.metadata import MetadataRequest_v5
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from rapport_stack import Stack
from rapport_stack.kafka_access import Broker, acls
from rapport_stack.principals import ADMINISTRATOR, Credentials, Principal, principals_in, principals_text

READER = Principal("reader", {"library": "read"}, topics={"books": ("Read",)}, groups=("readers",))
WRITER = Principal("writer", {"library": "readWrite"}, {"desk": {"notes": ("find",)}}, {"books": ("Create", "Write")})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("principals")


@pytest.fixture
def both(data: Path) -> Iterator[Stack]:
    with Stack(data=data, principals=(READER, WRITER)) as stack:
        yield stack


def client(stack: Stack, name: str) -> MongoClient[dict[str, Any]]:
    return MongoClient(stack.endpoints_of(name).mongo_uri, serverSelectionTimeoutMS=5_000)


def known(stack: Stack) -> set[Any]:
    """What the broker says is allowed."""
    with Broker(int(stack.kafka.bootstrap.rpartition(":")[2]), ADMINISTRATOR, secret(stack, ADMINISTRATOR)) as broker:
        return broker.acls()


def secret(stack: Stack, name: str) -> str:
    return stack.credentials.password(name)


def lists_rights(stack: Stack) -> None:
    with client(stack, "writer") as writer, client(stack, "reader") as reader:
        writer.library.books.insert_one({"title": "Emma"})
        assert reader.library.books.find_one({}, {"_id": 0}) == {"title": "Emma"}
        with pytest.raises(OperationFailure, match="not authorized"):
            reader.library.books.insert_one({})
        assert writer.desk.notes.find_one({}) is None
        with pytest.raises(OperationFailure, match="not authorized"):
            writer.desk.notes.insert_one({})
    assert known(stack) == set(acls((READER, WRITER)))


def test_everybody_may_do_what_is_listed_and_still_after_everything_was_lost(both: Stack) -> None:
    lists_rights(both)
    both.mongo.lose()
    both.kafka.lose()
    both.start()
    lists_rights(both)


def test_what_is_no_longer_listed_is_taken_back(both: Stack, data: Path) -> None:
    both.stop()
    less = Principal("writer", {"library": "read"}, topics={"books": ("Write",)})
    with Stack(data=data, principals=(less,)) as after:
        with client(after, "writer") as writer, pytest.raises(OperationFailure, match="not authorized"):
            writer.library.books.insert_one({})
        with client(after, "reader") as reader, pytest.raises(OperationFailure, match="Authentication failed"):
            reader.library.books.find_one({})
        assert known(after) == set(acls((less,)))


def test_data_that_knew_other_passwords_learn_the_new_ones(both: Stack, data: Path) -> None:
    before = secret(both, "reader")
    both.stop()
    (data / "secret").unlink()
    with Stack(data=data, principals=(READER, WRITER)) as after, client(after, "reader") as reader:
        assert secret(after, "reader") != before
        assert reader.library.books.find_one({}, {"_id": 0}) in (None, {"title": "Emma"})


def test_nobody_in_particular_is_told_nothing(both: Stack) -> None:
    with (
        MongoClient[dict[str, Any]](
            both.mongo.uri.replace(f"{ADMINISTRATOR}:{secret(both, ADMINISTRATOR)}@", "")
        ) as anybody,
        pytest.raises(OperationFailure, match="requires authentication"),
    ):
        anybody.admin.command("createUser", "me", pwd="x", roles=["root"])
    for port in both.kafka.ports:  # type: ignore[union-attr] # embedded: those of controllers, too
        with pytest.raises(OSError), Broker(port) as broker:  # noqa: PT011 - it is closed in one way or another
            broker.ask(MetadataRequest_v5([], False))


def test_secrets_are_for_their_owner_alone(both: Stack, data: Path) -> None:
    passwords = {secret(both, name) for name in (ADMINISTRATOR, "reader", "writer", "mongod")}
    assert len(passwords) == 4
    for file in (each for each in data.rglob("*") if each.is_file()):
        told = file.read_bytes()
        if file == data / "secret" or any(password.encode() in told for password in passwords):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
            assert file.suffix not in (".log", ".previous"), file


def test_whoever_is_first_makes_the_secret_for_all(tmp_path: Path) -> None:
    one, other = Credentials.of(tmp_path / "new"), Credentials.of(tmp_path / "new")
    assert one.password("x") == other.password("x") != one.password("y")
    assert Credentials().password("x") != Credentials().password("x")


def test_principals_are_kept_in_a_file_and_take_a_prefix(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(principals_text((READER, WRITER)))
    found = principals_in(tmp_path / "file")
    assert principals_text(found) == principals_text((READER, WRITER))
    prefixed = principals_in(tmp_path / "file", "mine_")[1]
    assert (prefixed.databases, list(prefixed.collections)) == ({"mine_library": "readWrite"}, ["mine_desk"])
