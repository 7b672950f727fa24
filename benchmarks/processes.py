"""Processes to measure: those of the platform with all their duties, and those of the peers."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import shutil
import sys
import tempfile
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from aiokafka.admin import AIOKafkaAdminClient
from pymongo import AsyncMongoClient
from rapport_events.catalog import TOPICS
from rapport_stack import ports, spawn, stop
from rapport_stack.workbench import Workbench

from benchmarks.harness import FOLDER, check

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from subprocess import Popen

    from benchmarks.harness import Servers

PATIENCE = 60.0
ROLES = ("researcher", "collector", "analyst", "operator")


async def until(condition: Callable[[], Awaitable[bool]], what: str, *, seconds: float = PATIENCE) -> None:
    """Wait for a condition, not for a time. Raises WrongOutcomeError."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not await condition():
        check(asyncio.get_running_loop().time() < deadline, f"not within {seconds:.0f} s: {what}")
        await asyncio.sleep(0.02)


@dataclass(slots=True)
class Processes:
    """Programs of one benchmark; all of them end with it. Logs are kept until then, and told of a program that fails."""

    servers: Servers
    folder: Path
    bench: Workbench
    pids: dict[str, int] = field(default_factory=dict)
    """By name, such as "feedback api"."""
    databases: list[str] = field(default_factory=list)
    """Beginnings of the names of the databases that were made."""
    _running: list[Popen[bytes]] = field(default_factory=list)

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        log = self.folder / f"{name.replace(' ', '-')}.log"
        process = spawn([sys.executable, *argv], log=log, env={**os.environ, **(env or {})})
        self._running.append(process)
        self.pids[name] = process.pid

    async def answering(self, name: str, url: str) -> None:
        """Wait until a program answers there with success."""
        async with httpx.AsyncClient(timeout=5, trust_env=False) as http:

            async def answers() -> bool:
                ended = next((each for each in self._running if each.pid == self.pids[name]), None)
                if ended is not None and ended.poll() is not None:
                    log = self.folder / f"{name.replace(' ', '-')}.log"
                    check(False, f"{name} ended: {log.read_text()[-2000:]}")
                try:
                    return (await http.get(url)).is_success
                except httpx.HTTPError:
                    return False

            await until(answers, f"{name} is ready")

    def stop(self) -> None:
        for process in reversed(self._running):
            stop(process)

    def token(self) -> str:
        return self.bench.issuer().token("benchmark", ROLES, lifetime=4 * 3600)

    def authorised(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token()}"}


@dataclass(slots=True)
class House:
    """Services of the platform on databases of their own, one process a half, named "<service> <half>"."""

    processes: Processes
    prefix: str
    urls: dict[str, str] = field(default_factory=dict)
    halves: list[str] = field(default_factory=list)

    @property
    def pids(self) -> dict[str, int]:
        return {name: self.processes.pids[f"{self.prefix} {name}"] for name in self.halves}

    async def post(self, service: str, path: str, body: Any) -> Any:
        headers = {**self.processes.authorised(), "Idempotency-Key": uuid.uuid4().hex}
        async with httpx.AsyncClient(base_url=self.urls[service], headers=headers, timeout=30, trust_env=False) as http:
            answer = await http.post(path, json=body)
        check(answer.is_success, f"POST {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    async def start(self, *halves: str, sampling: float | None) -> None:
        """`halves` such as "feedback api". `sampling` None: tracing off, no receiver is told."""
        servers, bench = self.processes.servers, self.processes.bench
        starting: dict[str, str] = {}
        master = base64.b64encode(secrets.token_bytes(96)).decode()
        for name in halves:
            service, half = name.split()
            port, private = ports.choose(2)
            env = {
                "RAPPORT_LOG_JSON": "true",
                "RAPPORT_LOG_LEVEL": "WARNING",
                "RAPPORT_KEYRING_MASTER_KEY": master,
                "RAPPORT_MONGO_DATABASE_PREFIX": f"{self.prefix}-",
                **{f"RAPPORT_{name.upper()}": value for name, value in servers.settings.items()},
                "RAPPORT_OIDC_ISSUER": bench.url,
                "RAPPORT_HTTP_PORT": str(port),
                "RAPPORT_PRIVATE_PORT": str(private),
            }
            if sampling is not None:
                env |= {"RAPPORT_OTLP_ENDPOINT": bench.url, "RAPPORT_TRACE_SAMPLING": str(sampling)}
            self.processes.start(f"{self.prefix} {name}", ["-m", "rapport_chassis", service, half], env)
            self.halves.append(name)
            if half == "api":
                self.urls[service] = f"http://{ports.LOOPBACK}:{port}"
            starting[f"{self.prefix} {name}"] = f"http://{ports.LOOPBACK}:{private}/readyz"
        for name, url in starting.items():
            await self.processes.answering(name, url)


def house(processes: Processes) -> House:
    prefix = f"bench-{uuid.uuid4().hex[:8]}"
    processes.databases.append(prefix)
    return House(processes, prefix)


@asynccontextmanager
async def processes(servers: Servers) -> AsyncIterator[Processes]:
    """With an issuer and a span receiver that listens. Topics of the platform are gone before and after."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=FOLDER, prefix="processes-")).absolute()
    await without_topics(servers, TOPICS)
    bench = folder / "workbench"
    found = Processes(servers, folder, Workbench(bench, "", 0, 0))
    try:
        found.start("workbench", ["-m", "rapport_stack.workbench", "--folder", str(bench)])

        async def announced() -> bool:
            return Workbench.read(bench) is not None

        await until(announced, "issuer and span receiver listen")
        found.bench = Workbench.read(bench) or found.bench
        yield found
    finally:
        found.stop()
        await without_topics(servers, TOPICS)
        await _without_databases(servers, found.databases)
        shutil.rmtree(folder)


async def without_topics(servers: Servers, topics: Sequence[str] | Mapping[str, Any]) -> None:
    """Delete these topics where they are, and wait until the brokers have forgotten them."""
    admin = AIOKafkaAdminClient(**servers.kafka)
    await admin.start()
    try:
        there = sorted(set(topics) & set(await admin.list_topics()))
        if there:
            await admin.delete_topics(there)

        async def gone() -> bool:
            return not set(there) & set(await admin.list_topics())

        await until(gone, "the brokers have forgotten the topics")
    finally:
        await admin.close()


async def _without_databases(servers: Servers, prefixes: Sequence[str]) -> None:
    async with AsyncMongoClient[dict[str, Any]](servers.mongo_uri) as client:
        for name in await client.list_database_names():
            if name.startswith(tuple(prefixes)):
                await client.drop_database(name)
