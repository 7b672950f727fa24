"""MongoDB and Kafka together: embedded in this process's life, in containers, or somebody else's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol, Self

from rapport_stack.errors import StackError
from rapport_stack.external import ExternalKafka, ExternalMongo
from rapport_stack.kafka import KafkaServer
from rapport_stack.kafka_access import MECHANISM, connection
from rapport_stack.mongo import MongoServer
from rapport_stack.mongo_users import uri_as
from rapport_stack.principals import ADMINISTRATOR, Credentials, Principal
from rapport_stack.settings import StackSettings

Mode = Literal["embedded", "containers", "external"]
DATA: Final = Path(".rapport/data")


@dataclass(frozen=True)
class Endpoints:
    """What a program needs to know of the stack: a MongoDB connection string, Kafka's host:port[,host:port], and who it
    is there; nobody in particular where `kafka_username` is empty.
    """

    mongo_uri: str = field(repr=False)
    kafka_bootstrap: str
    kafka_username: str = ""
    kafka_password: str = field(default="", repr=False)
    kafka_mechanism: str = MECHANISM

    @property
    def kafka(self) -> dict[str, Any]:
        """aiokafka's connection arguments."""
        return connection(self.kafka_bootstrap, self.kafka_username, self.kafka_password, self.kafka_mechanism)

    def of(self, name: str, credentials: Credentials) -> "Endpoints":
        """The same servers for somebody else."""
        password = credentials.password(name)
        uri = uri_as(self.mongo_uri, name, password)
        return replace(self, mongo_uri=uri, kafka_username=name, kafka_password=password)


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

    def lose(self) -> None:
        """Lose it with all its data while it runs: it starts again empty."""

    def wipe(self) -> None:
        """Delete its data while it is stopped."""


class Mongo(Server, Protocol):
    """A MongoDB of any mode."""

    @property
    def uri(self) -> str:
        """Connection string, with the administrator's password where it is ours."""


class Kafka(Server, Protocol):
    """A Kafka of any mode."""

    @property
    def bootstrap(self) -> str:
        """host:port, comma separated."""

    @property
    def connection(self) -> dict[str, Any]:
        """aiokafka's arguments to connect, as the administrator where it is ours."""

    @property
    def cluster_id(self) -> str:
        """The id that it answers with, another one after its data were lost. Raises OSError while it does not."""


class Stack:
    """MongoDB and Kafka, started together, or each alone through `mongo` and `kafka`.

    `with Stack() as stack:` starts both and stops them, whatever happens in between. The servers also end
    when this process is killed.

    Args:
        mode: whose servers: started here, in containers, or those that the settings name.
        data: folder of the embedded servers; kept between starts until `wipe`. Containers have volumes instead, which
            end with this process.
        mongods: members of the replica set, 1 or 3.
        brokers: nodes of Kafka, 1 or 3.
        mongod_parameters: server parameters (`--setParameter`) of embedded mongods, beside their own.
        principals: who else than the administrator may do what at servers of ours.
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
        mongod_parameters: Mapping[str, str] = MappingProxyType({}),
        principals: Sequence[Principal] = (),
        settings: StackSettings | None = None,
    ) -> None:
        settings = settings or StackSettings.from_environment()
        self.mode = mode
        self.credentials = Credentials.of(data)
        self.mongo: Mongo
        self.kafka: Kafka
        match mode:
            case "embedded":
                self.mongo = MongoServer(
                    data / "mongo",
                    members=mongods,
                    fixed_ports=mongo_ports,
                    parameters=mongod_parameters,
                    principals=principals,
                    credentials=self.credentials,
                    settings=settings,
                )
                self.kafka = KafkaServer(
                    data / "kafka",
                    brokers=brokers,
                    fixed_ports=kafka_ports,
                    principals=principals,
                    credentials=self.credentials,
                    settings=settings,
                )
            case "external":
                self.mongo = ExternalMongo(settings.mongo_uri)
                self.kafka = ExternalKafka(settings)
            case "containers":
                # Brings the client of Docker along, which nobody else needs.
                from rapport_stack.containers import ContainerKafka, ContainerMongo  # noqa: PLC0415

                if (mongods, brokers) != (1, 1):
                    raise StackError(
                        "The stack 'containers' has one MongoDB and one Kafka.", "Use 'embedded' for three."
                    )
                self.mongo = ContainerMongo((mongo_ports or [0])[0], mongod_parameters, principals, self.credentials)
                self.kafka = ContainerKafka((kafka_ports or [0])[0], principals, self.credentials)

    @property
    def endpoints(self) -> Endpoints:
        """Where the started servers are, for the administrator; at external ones, for whom the settings name."""
        mongo, kafka = self.mongo.uri, self.kafka.bootstrap
        if isinstance(self.kafka, ExternalKafka):
            return Endpoints(mongo, kafka, *self.kafka.identity)
        return Endpoints(mongo, kafka).of(ADMINISTRATOR, self.credentials)

    def endpoints_of(self, name: str) -> Endpoints:
        """The same for one of the principals; external servers know no other than the settings name."""
        return self.endpoints if self.mode == "external" else self.endpoints.of(name, self.credentials)

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
