"""A service, assembled: its name, its unit of work, its routes and its message surface in; two processes out.

`main.py` of a service is a `Service(...)` and the two functions `api` and `worker`; `python -m rapport_chassis <name>
api|worker` runs them. Nothing happens at import.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
import uvicorn
import uvloop
from fastapi import FastAPI
from prometheus_client import disable_created_metrics

from rapport_chassis import logs, telemetry
from rapport_chassis.access import TokenVerifier
from rapport_chassis.ending import end
from rapport_chassis.http import operations
from rapport_chassis.http.connections import Limits, bounded, most_connections
from rapport_chassis.http.health import private_app
from rapport_chassis.http.kit import install
from rapport_chassis.rebuild import Outcome, Wish, drop_old, rebuild
from rapport_chassis.runtime import open_runtime
from rapport_chassis.unit_of_work import new_id
from rapport_chassis.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping

    from rapport_events.event import Event

    from rapport_chassis.documents import Index
    from rapport_chassis.generation import Projection
    from rapport_chassis.http.routes import Routes
    from rapport_chassis.runtime import Runtime
    from rapport_chassis.settings import ServiceSettings
    from rapport_chassis.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

T = TypeVar("T")

KEEP_ALIVE = 30
"""Seconds that a connection may rest between two requests."""


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
    projection: Projection | None = None
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
            app.state.runtime, app.state.allowances = runtime, runtime.allowances
            watch = asyncio.create_task(runtime.watch(), name="runtime-watch")
            try:
                yield
            finally:
                await end([watch])
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
            telemetry={"tracing": False, "metrics": False, "logs": False},  # ours tells of requests
        )
        app.state.verifier = TokenVerifier(
            settings.oidc_issuer,
            settings.oidc_audience,
            settings.oidc_jwks_url,
            algorithms=settings.oidc_algorithms,
            leeway=settings.oidc_leeway_seconds,
            roles_claim=settings.oidc_roles_claim,
            longest=settings.oidc_token_seconds,
        )
        install(
            app,
            (*self.routes, operations.routes),
            self.errors,
            body_limit=settings.http_body_limit,
            writes=settings.http_writes,
        )
        return app

    async def open(self, settings: ServiceSettings) -> Runtime:
        """The runtime of one process."""
        return await open_runtime(settings, self.unit, self.indexes, tuple(self.errors), self.projection)

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

    def rebuild(self, wish: Wish, tell: Callable[[dict[str, Any]], None]) -> Outcome:
        """Make the projection anew, in this process. Raises ValueError where there is none, KafkaError, PyMongoError."""
        return self._once("rebuild", lambda runtime: rebuild(self, runtime, wish, tell))

    def drop_old(self, tell: Callable[[dict[str, Any]], None]) -> list[int]:
        """Delete the generations of the projection that are not in force; their numbers. Raises as `rebuild`."""
        return self._once("drop-old", lambda runtime: drop_old(self, runtime, tell))

    def _once(self, process: str, work: Callable[[Runtime], Awaitable[T]]) -> T:
        settings, traces = self._begin(process)

        async def open_and_work() -> T:
            runtime = await self.open(settings)
            try:
                return await work(runtime)
            finally:
                await runtime.close()

        try:
            return _run(open_and_work())
        finally:
            traces.shutdown()

    async def _serve_api(self, settings: ServiceSettings) -> None:
        app = self.app(settings)

        def ready() -> str | None:
            runtime = getattr(app.state, "runtime", None)
            # uvicorn listens only once the app has started: until then nobody could connect.
            return runtime.ready() if runtime and public.started else "starting"

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

        limits = Limits(
            most=most_connections(settings.http_connections),
            head=settings.http_head_seconds,
            grace=settings.http_body_grace_seconds,
            reading=settings.http_reading_seconds,
        )
        public = _server(telemetry.ServerSpan(app), settings.http_host, settings.http_port, limits)
        private = _server(
            private_app(live=lambda: True, ready={"mongodb": ready}, status=status),
            settings.http_host,
            settings.private_port,
            Limits(),
        )
        await _serve(public, private)

    async def _serve_worker(self, settings: ServiceSettings) -> None:
        runtime = await self.open(settings)
        worker = Worker(self, settings, runtime)
        private = _server(
            private_app(live=worker.live, ready={"worker": worker.ready}, status=worker.status),
            settings.http_host,
            settings.private_port,
            Limits(),
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
        elif settings.kafka_sasl_mechanism == "PLAIN" and not settings.kafka_tls:
            log.warning("the password for Kafka goes in clear", meaning="for a machine of one's own; elsewhere, TLS")
        log.info("starting", process=process)
        return settings, traces


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: two servers share this process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def _server(app: Any, host: str, port: int, limits: Limits) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,  # whoever connects could claim to be anybody
            timeout_graceful_shutdown=10,
            http=bounded(limits),
            ws="none",
            timeout_keep_alive=KEEP_ALIVE,
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


def collect_rarely() -> None:
    """Set the garbage collector as fits a service.

    What the imports made lives as long as the process: no collection need look at it again. And a request leaves few
    cycles behind: looking for them after every 700 objects would take a sixth of the processor.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _run(work: Coroutine[Any, Any, T]) -> T:
    collect_rarely()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
