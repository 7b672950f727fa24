"""Real MongoDB and real Apache Kafka in containers, from the images that `docker-compose.yml` uses too.

A server has the same port inside its container and outside, so that it finds itself under the name that it tells its
clients. Its data are in a volume of its own; containers and volumes are gone when the process that made them is, however
that ends (`reaper.py`).
"""

import atexit
import base64
import hashlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self, cast

from docker.errors import APIError, DockerException, NotFound
from pymongo.errors import PyMongoError
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from rapport_stack import ports, reaper
from rapport_stack.errors import PortTakenError, StackError
from rapport_stack.kafka import broker_properties
from rapport_stack.kafka_access import Broker, access_properties, connection
from rapport_stack.mongo import REPLICA_SET, SMALL, Client, initiate, replica_options
from rapport_stack.mongo_users import KEY, client_of_key, grant, uri_as
from rapport_stack.principals import ADMINISTRATOR, Credentials, Principal

MONGO: Final = "mongo:8.0"
KAFKA: Final = "apache/kafka:4.3.1"
START: Final = Path(__file__).with_name("kafka-start.sh")
READY_WITHIN: Final = 180.0
ATTEMPTS: Final = 5
GRACE: Final = 15
KEYED: Final = 'umask 077; printf %s "$RAPPORT_MONGO_KEY" >/tmp/key; exec mongod --keyFile /tmp/key "$@"'
"""A container has no file that we could give it; mongod takes its key from nothing else."""

TAKEN: Final = ("port is already allocated", "address already in use", "ports are not available")


class ContainerServer(ABC):
    """One server in a container: started, killed and robbed as an embedded one is.

    A context manager: `with ContainerMongo() as mongo:` starts and stops it.

    Args:
        brand: for people, such as "MongoDB".
        image: with its tag.
        data: folder in the container where the server keeps its data.
        port: fixed; 0: a free one, kept until the data are wiped.
    """

    def __init__(self, brand: str, image: str, data: str, port: int) -> None:
        self.brand = brand
        self.image = image
        self.port = port
        self._data = data
        self._fixed = bool(port)
        self._volume = ""
        self._container: DockerContainer | None = None
        # The keeper of a platform looks, and starts what it misses, while a test kills.
        self._lock = threading.RLock()

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """Arguments of the image's program."""

    @abstractmethod
    def _environment(self) -> Mapping[str, str]: ...

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the server in the running container can be used."""

    @property
    def running(self) -> bool:
        """Whether the container runs."""
        return bool(self._state().get("Running"))

    @property
    def pids(self) -> list[int]:
        """Ids of the processes that live, as the machine of the engine has them."""
        state = self._state()
        return [state["Pid"]] if state.get("Running") else []

    def start(self) -> None:
        """Start it if it does not run and wait until it is ready; StackError when it cannot be."""
        self.launch()
        self.await_ready()

    def launch(self) -> None:
        """Start the container if it does not run, without waiting: `await_ready` must follow."""
        with self._lock:
            if self.running:
                return
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    self._run()
                except DockerException as error:
                    fresh = self._container is None or not self._started_before()
                    reason = self._why(error)
                    if not (isinstance(reason, PortTakenError) and fresh and not self._fixed and attempt < ATTEMPTS):
                        raise reason from error
                    self._remove()
                    self.port = 0
                else:
                    return

    def await_ready(self) -> None:
        """Wait until the launched server can be used; when it cannot, nothing of it stays."""
        deadline = time.monotonic() + READY_WITHIN
        try:
            while not self._answers():
                self._refuse(late=time.monotonic() > deadline)
                time.sleep(0.05)
        except BaseException:
            self.stop()
            raise

    def _refuse(self, *, late: bool) -> None:
        """Raise what there is to say of a server that is not ready."""
        if not self.running:
            raise StackError(f"{self.brand} ended while it started:\n{self._last_words()}", "See what it says.")
        if late:
            raise StackError(
                f"{self.brand} was not ready within {READY_WITHIN:.0f} s:\n{self._last_words()}",
                "Look whether the machine has memory and processor to spare.",
            )

    def stop(self) -> None:
        """End the server in order and remove the container; the volume with its data stays."""
        with self._lock:
            if self._container is not None:
                with suppress(NotFound):  # somebody was faster
                    self._container.get_wrapped_container().stop(timeout=GRACE)
                self._remove()

    def kill(self) -> None:
        """kill -9 the server; the data stays as it is."""
        with self._lock:
            if self._container is not None and self.running:
                self._container.get_wrapped_container().kill()

    def lose(self) -> None:
        """kill -9 the server and delete its data: it starts again with nothing."""
        with self._lock:
            self.kill()
            self.wipe()

    def wipe(self) -> None:
        """Delete all data while nothing runs; the port stays the same."""
        with self._lock:
            if self.running:
                raise StackError(f"{self.brand} runs, so its data cannot be wiped.", "Stop it first.")
            if self._volume:
                with reaper.engine() as client:
                    self._remove()
                    client.volumes.get(self._volume).remove()
                self._volume = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        """Start the killed container again, or a new one."""
        if self._container is not None:
            self._container.get_wrapped_container().start()
            return
        owner = _owned()
        if not self.port:
            self.port = ports.choose(1)[0]
        if not self._volume:
            with reaper.engine() as client:
                self._volume = str(client.volumes.create(labels={reaper.LABEL: owner}).name)
        container = DockerContainer(self.image)
        container.with_envs(**self._environment())
        container.with_volume_mapping(self._volume, self._data, "rw")
        container.with_kwargs(labels={reaper.LABEL: owner})
        # The library's own way publishes on every address of the machine.
        container.ports = cast("dict[str, int | None]", {f"{self.port}/tcp": (ports.LOOPBACK, self.port)})
        container.with_command(list(self._command()))
        self._container = container
        container.start()

    def _remove(self) -> None:
        container, self._container = self._container, None
        if container is not None:
            try:
                container.stop()
            except NotFound:
                container.get_docker_client().client.close()

    def _state(self) -> dict[str, Any]:
        """What the engine says of the container; nothing where there is none."""
        with self._lock:
            wrapped = getattr(self._container, "_container", None)
            if wrapped is None:
                return {}
            try:
                wrapped.reload()
            except DockerException:
                return {}
            state: dict[str, Any] = wrapped.attrs["State"]
            return state

    def _started_before(self) -> bool:
        return not self._state().get("StartedAt", "0001").startswith("0001")

    def _last_words(self) -> str:
        with self._lock:
            wrapped = getattr(self._container, "_container", None)
            said: bytes = wrapped.logs(tail=5) if wrapped is not None else b""
            return said.decode(errors="replace")

    def _why(self, error: DockerException) -> StackError:
        text = str(getattr(error, "explanation", None) or error)
        if any(words in text for words in TAKEN):
            return PortTakenError(
                f"Port {self.port} for {self.brand} is taken by another program.",
                "Stop that program, choose another port, or leave the choice to the stack.",
            )
        if isinstance(error, APIError):
            return StackError(f"The container of {self.image} cannot run: {text}", f"Try: docker pull {self.image}")
        return reaper.no_engine(error)


class ContainerMongo(ContainerServer):
    """A MongoDB replica set of one, in a container.

    Args:
        port: fixed; 0: a free one.
        parameters: server parameters beside our own.
        principals: who else than the administrator may do what.
        credentials: their passwords; by default of a secret that nothing keeps.
    """

    def __init__(
        self,
        port: int = 0,
        parameters: Mapping[str, str] = MappingProxyType({}),
        principals: Sequence[Principal] = (),
        credentials: Credentials | None = None,
    ) -> None:
        super().__init__("MongoDB", MONGO, "/data/db", port)
        self._parameters = parameters
        self._principals = principals
        self._credentials = credentials or Credentials()

    @property
    def uri(self) -> str:
        """Connection string of the administrator, valid once started."""
        bare = f"mongodb://{ports.LOOPBACK}:{self.port}/?replicaSet={REPLICA_SET}"
        return uri_as(bare, ADMINISTRATOR, self._credentials.password(ADMINISTRATOR))

    def _command(self) -> Sequence[str]:
        options = ["--port", str(self.port), "--bind_ip_all", *SMALL, *replica_options(self._parameters)]
        return ["bash", "-c", KEYED, "mongod", *options]

    def _environment(self) -> Mapping[str, str]:
        return {"RAPPORT_MONGO_KEY": self._credentials.password(KEY)}

    def _answers(self) -> bool:
        # A new client each time: one that has seen the server before it was a replica set does not believe it later.
        alone: Client = client_of_key(
            f"{ports.LOOPBACK}:{self.port}",
            self._credentials.password(KEY),
            serverSelectionTimeoutMS=1_000,
            socketTimeoutMS=5_000,
        )
        try:
            with alone:
                hello = alone.admin.command("hello")
                if "setName" not in hello:
                    initiate(alone, [f"{ports.LOOPBACK}:{self.port}"])
                if not hello["isWritablePrimary"] or "setName" not in hello:
                    return False
                grant(alone, self._principals, self._credentials)
                return True
        except PyMongoError:
            return False


class ContainerKafka(ContainerServer):
    """An Apache Kafka of one node, broker and controller, in a container; the arguments are `ContainerMongo`'s."""

    def __init__(
        self, port: int = 0, principals: Sequence[Principal] = (), credentials: Credentials | None = None
    ) -> None:
        super().__init__("Apache Kafka", KAFKA, "/var/lib/kafka/data", port)
        self._principals = principals
        self._credentials = credentials or Credentials()

    @property
    def bootstrap(self) -> str:
        """host:port, valid once started."""
        return f"{ports.LOOPBACK}:{self.port}"

    @property
    def connection(self) -> dict[str, Any]:
        """aiokafka's arguments to connect as the administrator, valid once started."""
        return connection(self.bootstrap, ADMINISTRATOR, self._credentials.password(ADMINISTRATOR))

    @property
    def cluster_id(self) -> str:
        """The id that the running cluster answers with; a wiped cluster gets a new one."""
        with self._broker() as broker:
            return str(broker.metadata().cluster_id)

    def _broker(self) -> Broker:
        return Broker(self.port, ADMINISTRATOR, self._credentials.password(ADMINISTRATOR))

    def _command(self) -> Sequence[str]:
        return ["bash", "-c", START.read_text("utf-8")]

    def _environment(self) -> Mapping[str, str]:
        properties = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "log.dirs": self._data,
            "controller.quorum.voters": "1@localhost:9093",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"CLIENT://:{self.port},CONTROLLER://:9093",
            "advertised.listeners": f"CLIENT://{ports.LOOPBACK}:{self.port}",
            **access_properties({"CLIENT": self._principals, "CONTROLLER": ()}, self._credentials),
            **broker_properties(copies=1),
        }
        return {
            "CLUSTER_ID": _kafka_id(self._volume),
            "KAFKA_HEAP_OPTS": "-Xmx256m",
            **{f"KAFKA_{name.upper().replace('.', '_')}": str(value) for name, value in properties.items()},
        }

    def _answers(self) -> bool:
        try:
            with self._broker() as broker:
                answer = broker.metadata()
                return len(answer.brokers) == 1 and answer.controller_id > 0 and broker.grant(self._principals)
        except (OSError, ValueError, struct.error):  # nothing, or no Kafka, has answered yet
            return False


def _kafka_id(volume: str) -> str:
    """The id of the cluster whose data are in a volume: a Kafka Uuid, which must not begin with a dash."""
    raw = hashlib.sha256(volume.encode()).digest()[:16]
    return base64.urlsafe_b64encode(bytes([raw[0] & 0x7F]) + raw[1:]).rstrip(b"=").decode()


def _owned() -> str:
    """The owner that this process labels its containers with; whoever outlived another owner has been removed."""
    return _owner(os.getpid())


@cache
def _owner(pid: int) -> str:
    owner = f"{socket.gethostname()}/{pid}"
    testcontainers_config.ryuk_disabled = True  # one more image to fetch, which knows nothing of our volumes
    with reaper.engine() as client:
        reaper.sweep(client)
    # Its standard input ends with this process, even after kill -9: nothing else holds the other end.
    watching = subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-m", "rapport_stack.reaper", owner], stdin=subprocess.PIPE, start_new_session=True
    )
    atexit.register(watching.communicate)  # closes the pipe, and waits until nothing is left
    return owner
