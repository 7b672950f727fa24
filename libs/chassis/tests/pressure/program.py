"""A real process of a real service, and clients that misbehave: bytes on sockets, as slow or as many as one likes."""

import asyncio
import json
import os
import re
import resource
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rapport_stack import ports
from rapport_stack.process import kill, spawn, stop
from rapport_stack.workbench import Workbench

HOST = "127.0.0.1"
SERVICE = "registry"
UNHURRIED = 120
"""Seconds of patience with the store where a test counts: a write refused for impatience may have been done."""
PERSON = {
    "kind": "organisation",
    "name": "Example Organisation",
    "email": "office@example.org",
    "category": "statutory",
    "subtype": "police-accountability",
    "region": "wales",
    "confidence_groups": ["bame"],
    "synthetic": True,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `seconds`: how long it took."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float = 0.0

    def is_refusal(self) -> bool:
        """503 as it ought to be: a problem that says when to come back."""
        assert self.headers["content-type"] == "application/problem+json", self
        assert int(self.headers["retry-after"]) > 0, self
        return self.status == 503 and json.loads(self.body)["status"] == 503


class Connection:
    """One connection that sends what it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> Answer:
        """The next answer. Raises asyncio.IncompleteReadError where the connection ends instead."""
        begun = time.monotonic()
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(int(status.split()[1]), headers, body, time.monotonic() - begun)

    async def ends(self, within: float) -> bytes:
        """All that still comes until the server hangs up. Raises TimeoutError where it does not in time."""
        async with asyncio.timeout(within):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""

    async def trickle(self, data: bytes, every: float, within: float) -> tuple[bytes, float]:
        """One byte each `every` seconds until the server hangs up: what it said, and after how many seconds."""
        begun = time.monotonic()
        said = b""
        for byte in data:
            try:
                await self.send(bytes((byte,)))
                said += (came := await asyncio.wait_for(self.reader.read(4096), every))
                if not came:
                    break
            except TimeoutError:
                assert time.monotonic() - begun < within, f"still connected after {within} s"
            except ConnectionError:
                break
        else:
            raise AssertionError("all of it was taken")
        return said, time.monotonic() - begun

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            return


@dataclass(slots=True)
class Program:
    """A running `python -m rapport_chassis registry api|worker`."""

    process: subprocess.Popen[bytes]
    log: Path
    token: str
    port: int = 0

    @property
    def rss(self) -> int:
        """Resident memory in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index] # it is there

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Connection]:
        connection = await self.connect()
        try:
            yield connection
        finally:
            await connection.close()

    async def connect(self) -> Connection:
        return Connection(*await asyncio.open_connection(HOST, self.port, limit=1 << 20))

    def head(self, method: str, path: str, *lines: str) -> bytes:
        """A request line and headers, with a token, without the empty line."""
        return "\r\n".join(
            [f"{method} {path} HTTP/1.1", f"Host: {HOST}", f"Authorization: Bearer {self.token}", *lines, ""]
        ).encode()

    def registering(self, key: str | None = None, **facts: Any) -> bytes:
        """A whole request that registers somebody."""
        body = json.dumps({**PERSON, **facts}).encode()
        key = key or uuid.uuid4().hex
        head = self.head(
            "POST",
            "/stakeholders",
            f"Idempotency-Key: {key}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        )
        return head + b"\r\n" + body

    async def register(self, key: str | None = None) -> Answer:
        return await self.ask(self.registering(key))

    async def get(self, path: str = "/stakeholders?limit=1") -> Answer:
        return await self.ask(self.head("GET", path) + b"\r\n")

    async def ask(self, request: bytes) -> Answer:
        """On a connection of its own."""
        async with self.connected() as connection:
            await connection.send(request)
            return await connection.answer()

    async def answers(self) -> bool:
        try:
            return (await self.get("/openapi.json")).status == 200
        except (ConnectionError, asyncio.IncompleteReadError):
            assert self.process.poll() is None, self.log.read_text()[-4000:]
            return False

    def stop(self) -> None:
        stop(self.process)

    def kill(self) -> None:
        kill(self.process)


@dataclass
class Premises:
    """Where programs are started: servers, issuer, databases of this test alone."""

    mongo_uri: str
    bench: Workbench
    prefix: str
    folder: Path
    kafka: dict[str, Any] = field(default_factory=lambda: {"kafka_bootstrap": "127.0.0.1:1"})
    """Settings, without their prefix, in small letters."""
    started: list[Program] = field(default_factory=list)

    @property
    def database(self) -> str:
        return f"{self.prefix}_{SERVICE}"

    async def start(self, process: str = "api", **settings: Any) -> Program:
        """Start one and wait until it answers. `settings`: without their prefix, in small letters."""
        port, private = ports.choose(2)
        environment = {
            **os.environ,
            "RAPPORT_LOG_JSON": "true",
            "RAPPORT_MONGO_URI": self.mongo_uri,
            "RAPPORT_MONGO_DATABASE_PREFIX": f"{self.prefix}_",
            "RAPPORT_KEYRING_MASTER_KEY": "A" * 128,
            "RAPPORT_OIDC_ISSUER": self.bench.url,
            "RAPPORT_HTTP_PORT": str(port),
            "RAPPORT_PRIVATE_PORT": str(private),
            **{f"RAPPORT_{name.upper()}": str(value) for name, value in {**self.kafka, **settings}.items()},
        }
        log = self.folder / f"{process}-{len(self.started)}.log"
        token = self.bench.issuer().token("pressure", ["engagement-officer"])
        argv = [sys.executable, "-m", "rapport_chassis", SERVICE, process]
        program = Program(spawn(argv, log=log, env=environment), log, token, port)
        self.started.append(program)
        if process == "api":
            await until(program.answers, seconds=180)  # of a machine that may be very busy
            assert (await program.get()).status == 200
        return program

    def stop(self) -> None:
        for program in self.started:
            program.stop()


def as_many_files_as_may_be(wanted: int) -> int:
    """Raise this process's limit of open files to `wanted`, or to the hard limit; what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    if soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(soft, allowed)


async def until(condition: Callable[[], Awaitable[object]], seconds: float = 60) -> None:
    """Wait for a condition, not for a time."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s"
        await asyncio.sleep(0.05)
