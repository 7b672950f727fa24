"""Servers that somebody else runs: found through the settings, checked, never stopped."""

import socket
from typing import Any

from pymongo import MongoClient
from pymongo.errors import ConfigurationError, PyMongoError

from rapport_stack.errors import StackError
from rapport_stack.kafka_access import Broker, connection
from rapport_stack.settings import StackSettings

PATIENCE = 2.0
"""Seconds in which an external server must answer."""


class ExternalServer:
    """A server that this stack may use but not touch."""

    def __init__(self, brand: str, address: str | None, setting: str) -> None:
        self.brand = brand
        self._address = address
        self._setting = setting

    @property
    def address(self) -> str:
        """Where it is, as the setting says."""
        if self._address is None:
            raise StackError(
                f"The stack is external, but nothing says where {self.brand} is.",
                f"Set {self._setting}, or use the stack 'embedded'.",
            )
        return self._address

    @property
    def running(self) -> bool:
        """Not known without asking; `start` asks."""
        return self._address is not None

    @property
    def pids(self) -> list[int]:
        """None of its processes are ours."""
        return []

    def launch(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Leave it running."""

    def kill(self) -> None:
        """Refuse."""
        raise self._untouchable("killed")

    def lose(self) -> None:
        """Refuse."""
        raise self._untouchable("robbed of its data")

    def wipe(self) -> None:
        """Refuse."""
        raise self._untouchable("wiped")

    def silent(self, reason: str) -> StackError:
        """The error for a server that does not answer."""
        return StackError(
            f"{self.brand} at {self._setting} does not answer: {reason}", "Start it, or correct the setting."
        )

    def _untouchable(self, verb: str) -> StackError:
        return StackError(f"{self.brand} is external and is not {verb} from here.", "Use the stack 'embedded'.")


class ExternalMongo(ExternalServer):
    """The MongoDB that RAPPORT_MONGO_URI names."""

    def __init__(self, uri: str | None) -> None:
        super().__init__("MongoDB", uri, "RAPPORT_MONGO_URI")

    @property
    def uri(self) -> str:
        """Connection string."""
        return self.address

    def start(self) -> None:
        """Check that it answers."""
        self.await_ready()

    def await_ready(self) -> None:
        """Check that it answers and is a replica set, which transactions need."""
        try:
            client: MongoClient[dict[str, Any]] = MongoClient(
                self.uri, serverSelectionTimeoutMS=int(PATIENCE * 1_000), connectTimeoutMS=int(PATIENCE * 1_000)
            )
            with client:
                replica_set = client.admin.command("hello").get("setName")
        except (PyMongoError, ConfigurationError) as error:
            raise self.silent(str(error)[:200]) from error
        if replica_set is None:
            raise StackError(
                "MongoDB at RAPPORT_MONGO_URI is a standalone server, which has no transactions.",
                "Make it a replica set of one (--replSet and rs.initiate()).",
            )


class ExternalKafka(ExternalServer):
    """The Kafka that RAPPORT_KAFKA_BOOTSTRAP names."""

    def __init__(self, settings: StackSettings) -> None:
        super().__init__("Apache Kafka", settings.kafka_bootstrap, "RAPPORT_KAFKA_BOOTSTRAP")
        self.identity = (settings.kafka_username, settings.kafka_password, settings.kafka_mechanism)
        """Name, password and SASL mechanism; no name: nobody in particular."""

    @property
    def bootstrap(self) -> str:
        """host:port, comma separated."""
        return self.address

    @property
    def connection(self) -> dict[str, Any]:
        """aiokafka's arguments to connect as the settings say."""
        return connection(self.address, *self.identity)

    @property
    def cluster_id(self) -> str:
        """The id that it answers with."""
        host, _, port = self.address.partition(",")[0].strip().rpartition(":")
        with Broker(int(port), *self.identity[:2], host) as broker:
            return str(broker.metadata().cluster_id)

    def start(self) -> None:
        """Check that it answers."""
        self.await_ready()

    def await_ready(self) -> None:
        """Check that one of its brokers takes connections."""
        reasons = []
        for server in self.bootstrap.split(","):
            host, _, port = server.strip().rpartition(":")
            try:
                socket.create_connection((host, int(port)), timeout=PATIENCE).close()
            except (OSError, ValueError) as error:
                reasons.append(f"{server}: {error}")
            else:
                return
        raise self.silent("; ".join(reasons))
