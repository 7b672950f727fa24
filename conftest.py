"""Real servers for every test of the workspace: started when first asked for, shared by the whole run."""

import re
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from rapport_stack import Stack

if TYPE_CHECKING:
    from rapport_stack.stack import Kafka, Mongo

pytest_plugins = ("tests.covered",)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--stack",
        choices=("embedded", "containers", "external"),
        default="embedded",
        help="where MongoDB and Kafka come from; one that cannot start is an error, never a skip",
    )
    parser.addoption(
        "--examples", type=int, help="random requests for each operation, other ones each time (tests/doors)"
    )


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The servers of the chosen stack, none of them started yet."""
    chosen = Stack(request.config.getoption("--stack"), tmp_path_factory.mktemp("stack"))
    yield chosen
    chosen.stop()


@pytest.fixture(scope="session")
def mongo_server(stack: Stack) -> "Mongo":
    """A running MongoDB replica set; a test that stops or kills it starts it again."""
    stack.mongo.start()
    return stack.mongo


@pytest.fixture(scope="session")
def kafka_server(stack: Stack) -> "Kafka":
    """A running Apache Kafka; a test that stops or kills it starts it again."""
    stack.kafka.start()
    return stack.kafka


@pytest.fixture(scope="session")
def mongo_uri(mongo_server: "Mongo") -> str:
    """Connection string of the MongoDB."""
    return mongo_server.uri


@pytest.fixture(scope="session")
def kafka_bootstrap(kafka_server: "Kafka") -> str:
    """host:port of the Kafka."""
    return kafka_server.bootstrap


@pytest.fixture(scope="session")
def kafka_connection(kafka_server: "Kafka") -> dict[str, Any]:
    """aiokafka's arguments to connect to it as the administrator."""
    return kafka_server.connection


@pytest.fixture(scope="session")
def kafka_settings(kafka_connection: dict[str, Any]) -> dict[str, Any]:
    """The same as settings of a service."""
    return {
        "kafka_bootstrap": ",".join(kafka_connection["bootstrap_servers"]),
        "kafka_username": kafka_connection.get("sasl_plain_username", ""),
        "kafka_password": kafka_connection.get("sasl_plain_password", ""),
        "kafka_sasl_mechanism": kafka_connection.get("sasl_mechanism", "PLAIN"),
    }


@pytest.fixture
def database_name(request: pytest.FixtureRequest) -> str:
    """A database of this test alone, named after it."""
    test = re.sub(r"\W+", "_", request.node.name)[:30]
    return f"{test}_{uuid.uuid4().hex[:8]}"
