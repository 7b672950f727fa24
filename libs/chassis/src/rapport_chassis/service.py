"""A service, assembled: its name, its unit of work, its routes and its message surface in; two processes out.

`main.py` of a service is a `Service(...)` and the two functions `api` and `worker`; `python -m rapport_chassis <name>
api|worker` runs them. Nothing happens at import.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import structlog
import uvicorn
import uvloop
from fastapi import FastAPI
from prometheus_client import disable_created_metrics
from rapport_events.catalog import TOPICS

from rapport_chassis import logs, telemetry
from rapport_chassis.access import TokenVerifier
from rapport_chassis.brokers import KafkaLog, ensure_topics
from rapport_chassis.consumer import Consumer
from rapport_chassis.http import operations
from rapport_chassis.http.health import private_app
from rapport_chassis.http.kit import install
from rapport_chassis.journal import Partition
from rapport_chassis.relay import Relay
from rapport_chassis.runtime import open_runtime
from rapport_chassis.subscription import Subscription
from rapport_chassis.unit_of_work import new_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from rapport_events.event import Event

    from rapport_chassis.documents import Index
    from rapport_chassis.http.routes import Routes
    from rapport_chassis.runtime import Runtime
    from rapport_chassis.settings import ServiceSettings
    from rapport_chassis.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

STALLED = 60.0
"""Seconds without any turn of a worker's loops after which it is no longer alive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The whole of a service. `errors`: domain exception -> HTTP status. `clocks`: use case -> seconds between runs."""

    name: str
    unit: type[UnitOfWork]
    settings: type[ServiceSettings]
    routes: tuple[Routes, ...]
    description: str = ""
    errors: Mapping[type[Exception], int] = field(default_factory=dict)
    indexes: tuple[Index, ...] = ()
    emits: tuple[type[Event], ...] = ()
    consumes: Mapping[type[Event], Callable[[Any, Any], Awaitable[Any]]] = field(default_factory=dict)
    after_batch: Callable[[Any], Awaitable[Any]] | None = None
    clocks: Mapping[Callable[[Any], Awaitable[Any]], float] = field(default_factory=dict)
    loops: tuple[Callable[[Worker], Awaitable[None]], ...] = ()

    def load_settings(self) -> ServiceSettings:
        """From the environment. Raises pydantic's ValidationError."""
        return self.settings(service=self.name)

    def app(self, settings: ServiceSettings) -> FastAPI:
        """The HTTP API; its lifespan opens and closes the runtime. Raises where a route declares no access."""

        @contextlib.asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            runtime = await self.open(settings)
            app.state.runtime = runtime
            watch = asyncio.create_task(runtime.watch(), name="runtime-watch")
            try:
                yield
            finally:
                await _cancel(watch)
                await app.state.verifier.close()
                await runtime.close()

        app = FastAPI(
            title=f"Rapport {self.name}",
            description=self.description,
            version="1",
            lifespan=lifespan,
            docs_url="/docs" if settings.http_documentation else None,
            redoc_url=None,
            openapi_url="/openapi.json" if settings.http_documentation else None,
        )
        app.state.verifier = TokenVerifier(
            settings.oidc_issuer,
            settings.oidc_audience,
            settings.oidc_jwks_url,
            algorithms=settings.oidc_algorithms,
            leeway=settings.oidc_leeway_seconds,
            roles_claim=settings.oidc_roles_claim,
        )
        install(app, (*self.routes, operations.routes), self.errors, body_limit=settings.http_body_limit)
        return app

    async def open(self, settings: ServiceSettings) -> Runtime:
        """The runtime of one process."""
        return await open_runtime(settings, self.unit, self.indexes, tuple(self.errors))

    def api(self) -> None:
        """Run the API process until SIGTERM or SIGINT."""
        settings, traces = self._begin("api")
        _run(self._serve_api(settings))
        traces.shutdown()

    def worker(self) -> None:
        """Run the worker process until SIGTERM or SIGINT: relay, consumer, clocks, loops."""
        settings, traces = self._begin("worker")
        _run(self._serve_worker(settings))
        traces.shutdown()

    async def _serve_api(self, settings: ServiceSettings) -> None:
        app = self.app(settings)

        def ready() -> str | None:
            runtime = getattr(app.state, "runtime", None)
            return runtime.ready() if runtime else "starting"

        async def status() -> dict[str, Any]:
            runtime = getattr(app.state, "runtime", None)
            gate = runtime.gate if runtime else None
            return {
                "service": self.name,
                "process": "api",
                "ready": ready() is None,
                "reason": ready(),
                "unsent": gate.unsent if gate else None,
                "unsent_age_seconds": gate.age if gate else None,
                "waiting_writes": runtime.committer.waiting if runtime else None,
            }

        public = _server(telemetry.ServerSpan(app), settings.http_host, settings.http_port)
        private = _server(
            private_app(live=lambda: True, ready={"mongodb": ready}, status=status),
            settings.http_host,
            settings.private_port,
        )
        await _serve(public, private)

    async def _serve_worker(self, settings: ServiceSettings) -> None:
        runtime = await self.open(settings)
        worker = Worker(self, settings, runtime)
        private = _server(
            private_app(live=worker.live, ready={"worker": worker.ready}, status=worker.status),
            settings.http_host,
            settings.private_port,
        )
        try:
            async with worker:
                await _serve(private)
        finally:
            await runtime.close()

    def _begin(self, process: str) -> tuple[ServiceSettings, telemetry.Telemetry]:
        settings = self.load_settings()
        logs.configure(self.name, level=settings.log_level, json=settings.log_json)
        disable_created_metrics()  # type: ignore[no-untyped-call] # without annotations in prometheus_client
        traces = telemetry.configure(
            self.name, endpoint=settings.otlp_endpoint, sampling=settings.trace_sampling, instance_id=new_id()
        )
        if not settings.authenticated:
            log.warning("authentication is off", meaning="this process has no identity of its own at MongoDB and Kafka")
        log.info("starting", process=process)
        return settings, traces


@dataclass(slots=True)
class Worker:
    """The background half of a service. Loops get it: `perform` commits as a request would."""

    service: Service
    settings: Any
    runtime: Runtime
    relay: Relay = field(init=False)
    consumer: Consumer | None = None
    beat: float = field(default_factory=time.monotonic)
    _subscription: Subscription | None = None
    _tasks: list[asyncio.Task[Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        emitted = sorted({event.topic for event in self.service.emits})
        self.relay = Relay(
            self.runtime.journal,
            lambda: KafkaLog.connect(self.settings, emitted),
            [Partition(topic, number) for topic in emitted for number in range(TOPICS[topic].partitions)],
            limit=self.settings.relay_batch,
            poll=self.settings.relay_poll_seconds,
        )
        self.runtime.committer.committed = lambda _: self.relay.bell.set()

    async def run(self, use_case: Callable[[Any, Any], Awaitable[Any]], command: Any) -> Any:
        """Run a use case with a command, and commit."""
        return await self.runtime.perform(lambda unit: use_case(command, unit))

    async def __aenter__(self) -> Self:
        self._start(self.runtime.watch(), "runtime-watch")
        self._start(self.relay.run(), "relay")
        self._start(self._ring(), "relay-bell")
        if self.service.consumes:
            self._start(self._subscribe(), "subscribe")
        for use_case, every in self.service.clocks.items():
            self._start(self._clock(use_case, every), f"clock-{use_case.__name__}")
        for loop in self.service.loops:
            self._start(self._for_ever(loop), f"loop-{loop.__name__}")
        self._start(self._heart(), "heart")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._subscription is not None:
            await self._subscription.stop()
        for task in reversed(self._tasks):
            await _cancel(task)
        await self.relay.disconnect()

    def live(self) -> bool:
        """Alive is who still turns; Kafka and MongoDB being away does not make a restart useful."""
        return time.monotonic() - self.beat < STALLED

    def ready(self) -> str | None:
        """None, or why this worker cannot do its work now."""
        reason = self.runtime.ready()
        if reason is None and self.consumer is not None:
            if self.consumer.halted:
                reason = "the consumer halted: too many dead letters in a row"
            elif self._subscription is None:
                reason = "not subscribed yet"
        if reason is None and self.relay.failing:
            reason = "the relay does not reach Kafka"
        return reason

    async def status(self) -> dict[str, Any]:
        """What an operator wants to see of this worker."""
        consumer = self.consumer
        return {
            "service": self.service.name,
            "process": "worker",
            "ready": self.ready() is None,
            "reason": self.ready(),
            "unsent": self.runtime.gate.unsent,
            "unsent_age_seconds": self.runtime.gate.age,
            "letters": await self.runtime.letters.counts(),
            "positions": {str(p): {"offset": c.offset, "number": c.number} for p, c in consumer.positions.items()}
            if consumer
            else {},
            "gaps": {str(p): g.missing for p, g in consumer.gaps.items()} if consumer else {},
        }

    def _start(self, work: Any, name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=f"{self.service.name}-{name}"))

    async def _subscribe(self) -> None:
        topics = {event.topic for event in self.service.consumes}
        pause = 0.2
        while True:
            try:
                await ensure_topics(self.settings, topics)
                self.consumer = Consumer(
                    group=self.service.name,
                    handlers=self.service.consumes,
                    new_unit=self.runtime.unit,
                    commit=self.runtime.commit,
                    documents=self.runtime.documents,
                    after_batch=self.service.after_batch,
                )
                subscription = Subscription(self.settings, self.consumer, topics)
                await subscription.start()
            except Exception as error:  # noqa: BLE001 - Kafka may come later
                log.warning("not subscribed yet", error=type(error).__name__, pause_s=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
            else:
                self._subscription = subscription
                return

    async def _ring(self) -> None:
        """A change stream as a doorbell: the API process commits, this one hears of it. Without it the poll does."""
        while True:
            try:
                only_new = [{"$match": {"operationType": "insert"}}, {"$project": {"_id": 1}}]
                async with await self.runtime.database["journal"].watch(only_new, max_await_time_ms=5_000) as stream:
                    while stream.alive:
                        if await stream.try_next() is not None:
                            self.relay.bell.set()
            except Exception as error:  # noqa: BLE001 - the poll goes on meanwhile
                log.info("the relay's bell is rung anew", error=type(error).__name__)
                await asyncio.sleep(1)

    async def _clock(self, use_case: Callable[[Any], Awaitable[Any]], every: float) -> None:
        while True:
            try:
                await self.runtime.perform(use_case)
            except Exception as error:  # noqa: BLE001 - a clock strikes again
                log.warning("clock failed", clock=use_case.__name__, error=type(error).__name__)
            await asyncio.sleep(every)

    async def _for_ever(self, loop: Callable[[Worker], Awaitable[None]]) -> None:
        pause = 0.2
        while True:
            try:
                await loop(self)
                pause = 0.2
            except Exception as error:  # noqa: BLE001 - a loop is for ever
                log.warning("loop starts anew", loop=loop.__name__, error=type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)

    async def _heart(self) -> None:
        while True:
            self.beat = time.monotonic()
            await asyncio.sleep(1)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: two servers share this process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def _server(app: Any, host: str, port: int) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=10,
            timeout_keep_alive=30,
            h11_max_incomplete_event_size=64 * 1024,
        ),
    )


async def _serve(*servers: _Server) -> None:
    """Serve until a signal, or until one of them cannot."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    tasks = [asyncio.create_task(server.serve()) for server in servers]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop()
        await asyncio.gather(*tasks)


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _run(work: Any) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)
