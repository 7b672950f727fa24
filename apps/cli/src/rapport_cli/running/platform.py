"""The whole platform as one object: start it, keep it running, stop it in order."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import httpx
from rapport_stack import Stack, spawn, stop
from rapport_stack import ports as free_ports
from rapport_stack.mongo_users import without_user
from rapport_stack.process import until
from rapport_stack.stack import Mode, Server
from rapport_stack.workbench import Workbench

from rapport_cli.errors import CommandError
from rapport_cli.running.environment import granted, service_environment
from rapport_cli.running.lifecycle import Lifecycle, tolerated
from rapport_cli.running.process import KeptProcess
from rapport_cli.running.state import SERVICES, Folder, ProcessState, State
from rapport_cli.settings import CliSettings

if TYPE_CHECKING:
    from subprocess import Popen

HALVES: Final = ("api", "worker")
READY_WITHIN: Final = 180.0
HOPELESS: Final = 3
"""Deaths of one process during the start after which the start has failed."""


class Platform(Lifecycle):
    """MongoDB, Kafka, the development programs and five services of two processes each.

    Everything is a child of this process and dies with it. `program` is the module that runs a process of a service,
    with the arguments before service and half; `left_alone` are servers that stay down when they are down.
    """

    look_every = 1.0

    def __init__(
        self,
        settings: CliSettings,
        folder: Folder,
        *,
        mode: Mode = "embedded",
        mongods: int = 1,
        brokers: int = 1,
        sampling: float = 1.0,
        program: Sequence[str] = ("rapport_chassis",),
        mongod_parameters: Mapping[str, str] = MappingProxyType({}),
        told: Callable[[State], None] = lambda _: None,
    ) -> None:
        super().__init__(settings, folder, mode, told)
        self.brokers = brokers
        self.sampling = sampling
        self.program = program
        self.left_alone: set[Server] = set()
        self.stack = Stack(
            mode,
            folder.data,
            mongods=mongods,
            brokers=brokers,
            mongod_parameters=mongod_parameters,
            principals=granted(settings.inherited),
        )
        self.kept: list[KeptProcess] = []
        self._bench: Popen[bytes] | None = None
        self._http = httpx.Client(timeout=2.0, trust_env=False)

    def _start(self) -> None:
        self._begin("starting MongoDB and Kafka")
        with ThreadPoolExecutor(1) as beside:
            waiting = beside.submit(self._start_bench)
            self.stack.start()
            waiting.result()
        self._note_servers()
        self._begin("starting ten service processes")
        self._start_services()
        self._await_services()

    def _stop(self) -> None:
        """The services, then what they stand on; the data stays."""
        for process in self.kept:
            process.terminate()
        for process in self.kept:
            process.stop()
        if self._bench is not None:
            stop(self._bench)
        self.stack.stop()
        self._http.close()

    def _bench_log(self) -> str:
        return str(self.folder.logs / "workbench.log")

    def _tell(self) -> None:
        self.state.processes = {
            each.name: ProcessState(each.pid, each.private, each.said or "running", each.restarts) for each in self.kept
        }
        super()._tell()

    def _note_servers(self) -> None:
        self.state.mongo_uri = without_user(self.stack.endpoints.mongo_uri)
        self.state.kafka_bootstrap = self.stack.endpoints.kafka_bootstrap
        self.state.servers = {"MongoDB": self.stack.mongo.running, "Kafka": self.stack.kafka.running}

    def _start_bench(self) -> None:
        folder = self.folder.workbench
        log = self.folder.logs / "workbench.log"
        argv = [sys.executable, "-m", "rapport_stack.workbench", "--folder", str(folder)]
        process = self._bench = spawn(argv, log=log, env=self.settings.inherited)

        def announced() -> bool:
            found = Workbench.read(folder)
            return process.poll() is not None or (found is not None and found.pid == process.pid)

        if not until(announced, seconds=60) or process.poll() is not None:
            raise CommandError("The development programs (issuer, spans, mailbox) do not start.", f"See {log}")
        self.state.workbench = self.bench.url

    def _start_services(self) -> None:
        ports = self._ports()
        for service in SERVICES:
            self.state.urls[service] = f"http://{free_ports.LOOPBACK}:{ports[service]}"
            for half in HALVES:
                name = f"{service}-{half}"
                environment = service_environment(
                    self.settings.inherited,
                    endpoints=self.stack.endpoints_of(service),
                    brokers=self.brokers,
                    bench=self.bench,
                    master_key=self.folder.master_key(),
                    http_port=ports[service],
                    private_port=ports[name],
                    sampling=self.sampling,
                )
                self.kept.append(
                    KeptProcess(
                        name=name,
                        argv=[sys.executable, "-m", *self.program, service, half],
                        env=environment,
                        log=self.folder.logs / f"{name}.log",
                        private=f"http://{free_ports.LOOPBACK}:{ports[name]}",
                    )
                )
        for process in self.kept:
            process.log.unlink(missing_ok=True)
            process.start()

    def _ports(self) -> dict[str, int]:
        """Last time's where they are free, so that addresses stay good."""
        names = [name for service in SERVICES for name in (service, *(f"{service}-{half}" for half in HALVES))]
        ports = {name: port for name, port in self.folder.ports().items() if free_ports.is_free(port)}
        missing = [name for name in names if name not in ports]
        ports |= dict(zip(missing, free_ports.choose(len(missing)), strict=True))
        self.folder.remember_ports(ports)
        return ports

    def _await_services(self) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while not all(process.ready for process in self.kept):
            for process in self.kept:
                if not process.ready:
                    process.look(self._http)
            self._tell()
            fallen = next((each for each in self.kept if each.deaths >= HOPELESS), None)
            if fallen is not None:
                raise CommandError(
                    f"{fallen.name} does not start:\n{fallen.last_words()}", f"Its whole log: {fallen.log}"
                )
            if time.monotonic() > deadline:
                slow = next(each for each in self.kept if not each.ready)
                raise CommandError(
                    f"{slow.name} was not ready after {READY_WITHIN:.0f} s ({slow.said}).", f"See its log: {slow.log}"
                )
            time.sleep(0.1)

    def _look_after(self) -> None:
        for process in self.kept:
            process.look(self._http)
        for server in (self.stack.mongo, self.stack.kafka):
            if not server.running and server not in self.left_alone and not self._ending.is_set():
                with tolerated():
                    server.start()
        if self._bench is not None and self._bench.poll() is not None:
            with tolerated():
                self._start_bench()
        self._note_servers()
