"""MongoDB and Kafka together: embedded in this process's life, in containers, or somebody else's."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol, Self

from rapport_stack import containers
from rapport_stack.external import ExternalKafka, ExternalMongo
from rapport_stack.kafka import KafkaServer
from rapport_stack.mongo import MongoServer
from rapport_stack.settings import StackSettings

Mode = Literal["embedded", "containers", "external"]
DATA: Final = Path(".rapport/data")


@dataclass(frozen=True)
class Endpoints:
    """What a service needs to know of the stack: a MongoDB connection string, and Kafka's host:port[,host:port]."""

    mongo_uri: str
    kafka_bootstrap: str


class Server(Protocol):
    """What every mode offers of a server. StackError where a mode or a machine cannot."""

    @property
    def running(self) -> bool:
        """Whether it can be used, as far as is known without asking it."""

    @property
    def pids(self) -> list[int]:
        """Its processes, if they are ours."""

    def start(self) -> None:
        """Start it and wait until it is ready."""

    def launch(self) -> None:
        """Start it; `await_ready` must follow."""

    def await_ready(self) -> None:
        """Wait until it can be used."""

    def stop(self) -> None:
        """End it in order; its data stays."""

    def kill(self) -> None:
        """kill -9 it."""

    def wipe(self) -> None:
        """Delete its data while it is stopped."""


class Mongo(Server, Protocol):
    """A MongoDB of any mode."""

    @property
    def uri(self) -> str:
        """Connection string."""


class Kafka(Server, Protocol):
    """A Kafka of any mode."""

    @property
    def bootstrap(self) -> str:
        """host:port, comma separated."""


class Stack:
    """MongoDB and Kafka, started together, or each alone through `mongo` and `kafka`.

    `with Stack() as stack:` starts both and stops them, whatever happens in between. The servers also end
    when this process is killed.

    Args:
        mode: whose servers: started here, in containers, or those that the settings name.
        data: folder of the embedded servers; kept between starts until `wipe`.
        mongods: members of the replica set, 1 or 3.
        brokers: nodes of Kafka, 1 or 3.
        mongo_ports, kafka_ports: fixed ports; free ones are chosen and remembered by default.
    """

    def __init__(
        self,
        mode: Mode = "embedded",
        data: Path = DATA,
        *,
        mongods: int = 1,
        brokers: int = 1,
        mongo_ports: Sequence[int] | None = None,
        kafka_ports: Sequence[int] | None = None,
        settings: StackSettings | None = None,
    ) -> None:
        settings = settings or StackSettings.from_environment()
        self.mode = mode
        self.mongo: Mongo
        self.kafka: Kafka
        match mode:
            case "embedded":
                self.mongo = MongoServer(data / "mongo", members=mongods, fixed_ports=mongo_ports, settings=settings)
                self.kafka = KafkaServer(data / "kafka", brokers=brokers, fixed_ports=kafka_ports, settings=settings)
            case "external":
                self.mongo = ExternalMongo(settings.mongo_uri)
                self.kafka = ExternalKafka(settings.kafka_bootstrap)
            case "containers":
                containers.refuse()

    @property
    def endpoints(self) -> Endpoints:
        """Where the started servers are."""
        return Endpoints(mongo_uri=self.mongo.uri, kafka_bootstrap=self.kafka.bootstrap)

    def start(self) -> None:
        """Start both side by side and wait until both are ready; when one cannot, neither stays."""
        try:
            self.mongo.launch()
            self.kafka.launch()
            self.mongo.await_ready()
            self.kafka.await_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End both in order; the data stays."""
        try:
            self.kafka.stop()
        finally:
            self.mongo.stop()

    def wipe(self) -> None:
        """Delete all data of both while they are stopped."""
        self.kafka.wipe()
        self.mongo.wipe()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
