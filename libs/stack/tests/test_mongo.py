"""A real MongoDB that keeps what it was given."""

import socket
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from rapport_stack import MongoServer, StackError
from rapport_stack.process import until


def test_a_transaction_is_all_or_nothing(mongo_uri: str, database_name: str) -> None:
    client: MongoClient[dict[str, Any]] = MongoClient(mongo_uri)
    with client:
        things = client[database_name].things
        with client.start_session() as session:
            with session.start_transaction():
                things.insert_many([{"_id": 1}, {"_id": 2}], session=session)
            session.start_transaction()
            things.insert_one({"_id": 3}, session=session)
            session.abort_transaction()
        assert [thing["_id"] for thing in things.find()] == [1, 2]


def connect(server: MongoServer) -> MongoClient[dict[str, Any]]:
    return MongoClient(server.uri, w="majority", serverSelectionTimeoutMS=5_000)


def count(server: MongoServer) -> int:
    with connect(server) as client:
        return client.kept.things.count_documents({})


def test_data_and_ports_stay_until_wiped(tmp_path: Path) -> None:
    server = MongoServer(tmp_path)
    with server:
        first = server.uri
        with connect(server) as client:
            client.kept.things.insert_one({})
    with MongoServer(tmp_path) as again:  # a new handle, as after a new start of the command line
        assert again.uri == first
        assert count(again) == 1
        again.kill()
        again.start()
        assert again.uri == first
        assert count(again) == 1
    server.wipe()
    with server:
        assert server.uri == first
        assert count(server) == 0


def test_who_was_in_use_comes_back_to_the_same_port_or_not_at_all(tmp_path: Path) -> None:
    with MongoServer(tmp_path) as server:
        before = server.ports
        server.kill()
        with (
            socket.create_server(("127.0.0.1", before[0])),
            pytest.raises(StackError, match="taken by another program"),
        ):
            server.start()
        server.start()
        assert server.ports == before


def test_data_move_to_another_port_when_theirs_is_taken(tmp_path: Path) -> None:
    with MongoServer(tmp_path) as server:
        before = server.ports
        with connect(server) as client:
            client.kept.things.insert_one({})
    with socket.create_server(("127.0.0.1", before[0])), MongoServer(tmp_path) as moved:
        assert moved.ports != before
        assert count(moved) == 1


def test_three_members_survive_the_loss_of_the_primary_and_a_move(tmp_path: Path) -> None:
    with MongoServer(tmp_path, members=3) as server, connect(server) as client:
        client.kept.things.insert_one({})
        lost = client.primary
        assert lost is not None
        server.members[server.hosts.index(f"{lost[0]}:{lost[1]}")].kill()
        assert not server.running
        others = server.pids
        with socket.create_server(lost), pytest.raises(StackError, match="another program has its port"):
            server.start()
        assert server.pids == others, "what could not come back took others with it"

        def written() -> bool:
            try:
                client.kept.things.insert_one({})
            except PyMongoError:
                return False
            return True

        assert until(written, seconds=30)
        server.start()
        assert server.running
        assert count(server) == 2
    with socket.create_server(("127.0.0.1", server.ports[0])), MongoServer(tmp_path, members=3) as moved:
        assert not set(moved.ports) & set(server.ports)
        assert count(moved) == 2
