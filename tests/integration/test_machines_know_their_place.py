"""No service reads, writes or says anything that its contract does not declare: the servers refuse, whatever its code does.

Everything here is asked of the running platform's servers, as one service with that service's own password. Services and
topics are those of the contracts: what is declared tomorrow is tried tomorrow.
"""

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    NoError,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.protocol.fetch import FetchRequest_v4
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from rapport_cli.running.state import SERVICES
from rapport_events.catalog import TOPICS
from rapport_stack.kafka_access import Broker
from rapport_stack.stack import Endpoints

from tests.integration.rapport import Rapport, declared

UNAUTHORIZED = 13
KEYRING = "keyring"
PAIRS = tuple(permutations(SERVICES, 2))


def heard(service: str) -> set[str]:
    return {event.topic for event in declared(service).consumes}


def told(service: str) -> set[str]:
    return {event.topic for event in declared(service).emits}


def cells(allowed: Any) -> list[Any]:
    """Service and topic, without those that are allowed."""
    return [pytest.param(s, t, id=f"{s}-{t}") for s in SERVICES for t in TOPICS if t not in allowed(s)]


def fetched(endpoints: Endpoints, topic: str) -> type[KafkaError]:
    """How the broker answers a fetch."""
    host, _, port = endpoints.kafka_bootstrap.rpartition(":")
    with Broker(int(port), endpoints.kafka_username, endpoints.kafka_password, host) as broker:
        answer = broker.ask(FetchRequest_v4(-1, 0, 0, 1024, 0, [(topic, [(0, 0, 1024)])]))
    ((_, ((_partition, code, *_rest),)),) = answer.topics
    found: type[KafkaError] = for_code(code)
    return found


@pytest.fixture
def as_service(rapport: Rapport) -> Any:
    return rapport.platform.stack.endpoints_of


@pytest.mark.catalogue("Z8")
@pytest.mark.parametrize(("service", "topic"), cells(told))
async def test_a_forged_event_is_refused_by_the_broker(as_service: Any, service: str, topic: str) -> None:
    async with AIOKafkaProducer(**as_service(service).kafka) as producer:
        with pytest.raises(TopicAuthorizationFailedError):
            await producer.send_and_wait(topic, b"{}", key=b"forged", partition=0)


@pytest.mark.catalogue("Z9")
@pytest.mark.parametrize(("service", "topic"), cells(lambda service: heard(service) | told(service)))
def test_a_topic_that_is_not_declared_cannot_be_read(as_service: Any, service: str, topic: str) -> None:
    assert fetched(as_service(service), topic) is TopicAuthorizationFailedError


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_declared_can_be_read(as_service: Any, service: str) -> None:
    for topic in heard(service) | told(service):
        assert fetched(as_service(service), topic) is NoError


@pytest.mark.catalogue("Z9")
@pytest.mark.parametrize(("service", "other"), PAIRS)
async def test_no_service_gets_into_the_consumer_group_of_another(as_service: Any, service: str, other: str) -> None:
    admin = AIOKafkaAdminClient(**as_service(service).kafka)
    await admin.start()
    try:
        with pytest.raises(GroupAuthorizationFailedError):
            await admin.list_consumer_group_offsets(other)
    finally:
        await admin.close()


@pytest.mark.catalogue("Z8", "Z9")
def test_nobody_in_particular_gets_nothing_from_kafka(rapport: Rapport) -> None:
    host, _, port = rapport.platform.stack.kafka.bootstrap.rpartition(":")
    with pytest.raises(ConnectionError), Broker(int(port), host=host) as broker:
        broker.metadata()
    with pytest.raises(ConnectionError, match="does not know registry"), Broker(int(port), "registry", "guessed", host):
        pass


def refused(operation: Any) -> None:
    with pytest.raises(OperationFailure) as caught:
        operation()
    assert caught.value.code == UNAUTHORIZED


@pytest.fixture
def mongo_of(as_service: Any) -> Iterator[Any]:
    opened: list[MongoClient[dict[str, Any]]] = []

    def client(service: str) -> MongoClient[dict[str, Any]]:
        opened.append(MongoClient(as_service(service).mongo_uri))
        return opened[-1]

    yield client
    for each in opened:
        each.close()


@pytest.mark.catalogue("Z10")
@pytest.mark.parametrize(("service", "other"), PAIRS)
def test_the_database_of_another_is_closed(mongo_of: Any, service: str, other: str) -> None:
    journal = mongo_of(service)[other]["journal"]
    refused(lambda: journal.find_one({}))
    refused(lambda: journal.insert_one({}))
    refused(lambda: journal.delete_many({}))
    refused(lambda: journal.aggregate([{"$collStats": {"count": {}}}]))
    refused(journal.watch)
    refused(journal.drop)
    refused(journal.database.list_collection_names)
    refused(lambda: mongo_of(service)[service]["journal"].aggregate([{"$out": {"db": other, "coll": "stolen"}}]))


@pytest.mark.catalogue("Z10")
@pytest.mark.parametrize("service", SERVICES)
def test_the_keyring_is_open_no_wider_than_a_service_seals(mongo_of: Any, service: str) -> None:
    client = mongo_of(service)
    keyring = client[KEYRING]
    assert keyring["vault"].find_one({}) is not None
    for name in ("keys", "secrets", "vault"):
        refused(lambda name=name: keyring[name].delete_many({"_id": "nobody"}))
        refused(lambda name=name: keyring[name].drop())
    for name in ("secrets", "vault"):
        refused(lambda name=name: keyring[name].update_many({"_id": "nobody"}, {"$set": {"key": None}}))
    if service == "measures":  # seals nothing
        refused(lambda: keyring["keys"].insert_one({"_id": "nobody"}))
        refused(lambda: keyring["keys"].update_many({"_id": "nobody"}, {"$set": {"key": None}}))
    else:
        keyring["keys"].update_many({"_id": "nobody"}, {"$set": {"key": None}})


@pytest.mark.catalogue("Z10")
@pytest.mark.parametrize("service", SERVICES)
async def test_no_service_has_a_role_beyond_its_own(rapport: Rapport, mongo_of: Any, service: str) -> None:
    said = await rapport.mongo["admin"].command("usersInfo", service, showPrivileges=True)
    (user,) = said["users"]
    assert {(role["role"], role["db"]) for role in user["inheritedRoles"]} == {
        (service, "admin"),
        ("readWrite", service),
    }
    assert {each["resource"].get("db") for each in user["inheritedPrivileges"]} == {service, KEYRING}
    client = mongo_of(service)
    refused(lambda: client.admin.command("createUser", "friend", pwd="x", roles=["root"]))
    refused(lambda: client.admin.command("grantRolesToUser", service, roles=["root"]))
    refused(lambda: client.admin.command("replSetGetConfig"))
    refused(lambda: client["local"]["oplog.rs"].find_one({}))


@pytest.mark.catalogue("Z10")
def test_nobody_in_particular_gets_nothing_from_mongodb(rapport: Rapport) -> None:
    with MongoClient[dict[str, Any]](rapport.platform.state.mongo_uri) as client:
        refused(lambda: client["registry"]["journal"].find_one({}))
        refused(lambda: client.admin.command("listDatabases"))


def test_every_process_has_an_identity_and_no_password_is_told(rapport: Rapport) -> None:
    stack = rapport.platform.stack
    passwords = [stack.credentials.password(name) for name in (*SERVICES, "administrator", "mongod")]
    logs = [file for file in rapport.platform.folder.path.rglob("*.log") if file.is_file()]
    assert {f"{service}-{half}.log" for service in SERVICES for half in ("api", "worker")} <= {f.name for f in logs}
    for file in logs:
        said = file.read_text(errors="replace")
        assert "authentication is off" not in said
        assert not [password for password in passwords if password in said], file
    pids = [*stack.mongo.pids, *stack.kafka.pids, *(process.pid for process in rapport.platform.kept)]
    for pid in pids:
        line = Path(f"/proc/{pid}/cmdline").read_text()
        assert not [password for password in passwords if password in line], line
    state = (rapport.platform.folder.path / "state.json").read_text()
    assert not [password for password in passwords if password in state]
