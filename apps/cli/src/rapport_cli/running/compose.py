"""The whole platform in containers: the same surface as `Platform`, done by `docker compose`."""

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from rapport_stack import ports as free_ports
from rapport_stack.mongo_users import KEY
from rapport_stack.principals import ADMINISTRATOR, Credentials

from rapport_cli.errors import CommandError
from rapport_cli.running.lifecycle import Lifecycle
from rapport_cli.running.state import SERVICES, Folder, ProcessState, State
from rapport_cli.settings import CliSettings

FILE: Final = "docker-compose.yml"
READY_WITHIN: Final = 600
PUBLISHED: Final = (*SERVICES, "workbench", "mongo", "kafka", "jaeger")
"""Ports of 127.0.0.1 that stay the same: RAPPORT_<NAME>_PORT in the compose file."""
PRIVATE: Final = 9000
NOBODY: Final = "10001:10001"
"""Who the containers run as where whoever starts them is root."""


class ComposePlatform(Lifecycle):
    """Everything that docker-compose.yml says, as a project of this folder.

    Docker keeps it running. Unlike `Platform` it outlives a killed parent: the next start takes it over, and
    `rapport down` ends it.

    Args:
        keep: leave the data for the next start; otherwise it begins and ends with none.
        sampling: part of the requests that leave a trace.
    """

    look_every = 10.0

    def __init__(
        self,
        settings: CliSettings,
        folder: Folder,
        *,
        keep: bool = True,
        sampling: float = 1.0,
        told: Callable[[State], None] = lambda _: None,
    ) -> None:
        super().__init__(settings, folder, "containers", told)
        self.keep = keep
        self.sampling = sampling
        self.project = f"rapport-{hashlib.sha256(str(folder.path).encode()).hexdigest()[:8]}"
        self._environment = folder.path / "compose.env"

    def _start(self) -> None:
        self._prepare()
        self._watch("building images", "--progress", "plain", "build")
        if not self.keep:
            self._watch("clearing away", "down", "--volumes", "--remove-orphans")
        self._watch("starting containers", "up", "--wait", "--wait-timeout", str(READY_WITHIN), "--no-build")
        self._look_after()

    def _stop(self) -> None:
        """Remove the containers; the data stays if it is to be kept. What they said is in the folder of logs."""
        if self._environment.exists():
            with (self.folder.logs / "containers.log").open("wb") as log:
                self._run("logs", "--no-color", "--timestamps", stdout=log)
            self._run("down", "--remove-orphans", *(() if self.keep else ("--volumes",)))

    def _bench_log(self) -> str:
        return " ".join(self._compose("logs", "workbench"))

    def _prepare(self) -> None:
        """Write what the compose file asks for, the master key too, where `docker compose --env-file` finds it."""
        self._begin("looking for Docker")
        try:
            asked = subprocess.run(
                ["docker", "compose", "ls", "--quiet"],  # noqa: S607 - the user's own
                capture_output=True,
                text=True,
                check=False,
                env=self.settings.inherited,
            )
        except FileNotFoundError:
            raise CommandError(
                "There is no docker here.", "Install Docker with Compose, or use --stack embedded."
            ) from None
        if asked.returncode:
            raise CommandError(
                f"Docker Compose does not answer: {asked.stderr.strip()[-300:]}",
                "Start Docker, and install its Compose plugin, 2.24 or newer; or use --stack embedded.",
            )
        if not Path(FILE).exists():
            raise CommandError(f"There is no {FILE} here.", "Go to the folder of the checkout.")
        self.folder.workbench.mkdir(parents=True, exist_ok=True, mode=0o700)
        user = f"{os.getuid()}:{os.getgid()}"
        if os.getuid() == 0:
            user = NOBODY
            os.chown(self.folder.workbench, *map(int, user.split(":")))
        credentials = Credentials.of(self.folder.data)
        names = (*SERVICES, ADMINISTRATOR, KEY)
        values = {
            "COMPOSE_PROJECT_NAME": self.project,
            "RAPPORT_KEYRING_MASTER_KEY": self.folder.master_key(),
            **{f"RAPPORT_{name.upper()}_PASSWORD": credentials.password(name) for name in names},
            "RAPPORT_TRACE_SAMPLING": str(self.sampling),
            "RAPPORT_WORKBENCH_DATA": str(self.folder.workbench),
            "RAPPORT_WORKBENCH_USER": user,
            **{f"RAPPORT_{name.upper()}_PORT": str(port) for name, port in self._ports().items()},
        }
        self.folder.replace("compose.env", "".join(f"{name}={value}\n" for name, value in values.items()))

    def _ports(self) -> dict[str, int]:
        """Last time's if there are any, so that addresses stay good."""
        remembered = self.folder.ports()
        missing = [name for name in PUBLISHED if name not in remembered]
        ports = remembered | dict(zip(missing, free_ports.choose(len(missing)), strict=True))
        self.folder.remember_ports(ports)
        return {name: ports[name] for name in PUBLISHED}

    def _compose(self, *arguments: str) -> list[str]:
        environment = str(self._environment)
        return [
            "docker",
            "compose",
            "--project-name",
            self.project,
            "--env-file",
            environment,
            "--file",
            FILE,
            *arguments,
        ]

    def _run(self, *arguments: str, stdout: Any = subprocess.PIPE) -> str:
        """What it prints, where nobody else takes it. Raises CommandError."""
        done = subprocess.run(  # noqa: S603 - our own command
            self._compose(*arguments),
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=self.settings.inherited,
        )
        if done.returncode:
            raise CommandError(f"docker compose {arguments[0]} failed: {done.stderr.strip()[-600:]}", "Is Docker well?")
        return done.stdout or ""

    def _watch(self, phase: str, *arguments: str) -> None:
        """Run it with its last line as the phase. Raises CommandError with its last words."""
        self._begin(phase)
        log = self.folder.logs / "compose.log"
        with (
            log.open("a") as file,
            subprocess.Popen(  # noqa: S603 - our own command
                self._compose(*arguments),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=self.settings.inherited,
                start_new_session=True,
            ) as process,
        ):
            said: list[str] = []
            try:
                for line in process.stdout or ():
                    file.write(line)
                    if line.strip():
                        said = list(dict.fromkeys([*said, line.strip()]))[-6:]
                        self._begin(f"{phase}: {line.strip()[:100]}")
            except BaseException:
                process.terminate()
                raise
        if process.returncode:
            last = "\n".join([*said, *self._unwell()])
            raise CommandError(f"{phase} failed:\n{last}", f"Its whole output: {log}")

    def _unwell(self) -> Iterator[str]:
        """The last words of every container that is not as it should be."""
        for container in self._containers():
            if (container["State"] != "running" and container["ExitCode"]) or container["Health"] == "unhealthy":
                yield f"--- {container['Service']}: {container['Status']}"
                yield self._run("logs", "--no-color", "--no-log-prefix", "--tail", "5", container["Service"]).strip()

    def _containers(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._run("ps", "--all", "--format", "json").splitlines()]

    def _look_after(self) -> None:
        """Note where everything is and how it is: Docker starts again what fell."""
        found = {container["Service"]: container for container in self._containers()}
        ports = self.folder.ports()
        self.state.mongo_uri = f"mongodb://{free_ports.LOOPBACK}:{ports['mongo']}/?directConnection=true"
        self.state.kafka_bootstrap = f"{free_ports.LOOPBACK}:{ports['kafka']}"
        self.state.servers = {
            name: _ready(found.get(service)) for name, service in (("MongoDB", "mongo"), ("Kafka", "kafka"))
        }
        self.state.workbench = f"http://{free_ports.LOOPBACK}:{ports['workbench']}"
        self.state.urls = {service: f"http://{free_ports.LOOPBACK}:{ports[service]}" for service in SERVICES}
        halves = (f"{service}-{half}" for service in SERVICES for half in ("api", "worker"))
        self.state.processes = {name: _process(found.get(name)) for name in halves}


def _ready(container: Mapping[str, Any] | None) -> bool:
    return container is not None and container["State"] == "running" and container["Health"] in ("healthy", "")


def _process(container: Mapping[str, Any] | None) -> ProcessState:
    if container is None:
        return ProcessState(0, "", "is not there")
    port = next((each["PublishedPort"] for each in container["Publishers"] or () if each["TargetPort"] == PRIVATE), 0)
    state = "running" if _ready(container) else f"{container['State']} {container['Health']}".strip()
    return ProcessState(0, f"http://{free_ports.LOOPBACK}:{port}", state)
