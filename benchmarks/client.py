"""A load client that is not the bottleneck: HTTP/1.1 over kept connections, with requests that were made beforehand.

`load` runs it in a process of its own, so that its work is not counted as anybody else's; `Connection` serves whoever
needs single requests.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httptools
import uvloop

from benchmarks.harness import check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PATIENCE = 60.0
"""Seconds without any answer after which the run has failed."""


@dataclass(slots=True)
class Load:
    """What came of a run. Seconds; `latencies` and `cpu_seconds` (the client's own) too."""

    seconds: float
    cpu_seconds: float
    latencies: list[float] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    first_refusal: str = ""


async def load(
    url: str, connections: int, bodies: Sequence[bytes], headers: Mapping[str, str], *, status: int = 201
) -> Load:
    """POST every body once, as fast as `connections` take them; each with an Idempotency-Key of its own.

    Raises WrongOutcomeError where an answer has another status.
    """
    job = json.dumps(
        {"url": url, "connections": connections, "bodies": [body.decode() for body in bodies], "headers": dict(headers)}
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.client", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        said, _ = await process.communicate(job.encode())
    except BaseException:
        process.kill()
        raise
    check(process.returncode == 0, "the load client failed")
    found = Load(**json.loads(said))
    check(found.statuses == {str(status): len(bodies)}, f"answers of {url}: {found.statuses} {found.first_refusal}")
    return found


def request(url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """A POST as it goes over the wire."""
    parts = urlsplit(url)
    lines = [
        f"POST {parts.path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Connection(asyncio.Protocol):
    """One kept connection, one request at a time. `answered` is called with status and body."""

    def __init__(self) -> None:
        self.status = 0
        self.body = bytearray()
        self._parser = httptools.HttpResponseParser(self)
        self._waiting: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, url: str) -> Connection:
        parts = urlsplit(url)
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(cls, parts.hostname, parts.port)
        return connection

    async def send(self, content: bytes) -> tuple[int, bytes]:
        """Status and body of the answer. Raises ConnectionError where the server hangs up."""
        if self._transport is None:
            raise ConnectionResetError("the server has closed the connection")
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(content)
        return await self._waiting

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error or ConnectionResetError("the server hung up"))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        status, body = self._parser.get_status_code(), bytes(self.body)
        self.body.clear()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result((status, body))


class Listening(asyncio.Protocol):
    """One GET whose answer does not end; `hear` gets each line of it as it comes."""

    def __init__(self, content: bytes, hear: Callable[[bytes], None]) -> None:
        self._content = content
        self._hear = hear
        self._rest = b""
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(self._content)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        *lines, self._rest = (self._rest + body).split(b"\n")
        for line in lines:
            self._hear(line.removesuffix(b"\r"))


async def listen(url: str, headers: Mapping[str, str], hear: Callable[[bytes], None]) -> Listening:
    """Follow a stream of lines, until it is closed."""
    parts = urlsplit(url)
    lines = [f"GET {parts.path}?{parts.query} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    content = "\r\n".join(lines).encode() + b"\r\n\r\n"
    loop = asyncio.get_running_loop()
    _, listening = await loop.create_connection(lambda: Listening(content, hear), parts.hostname, parts.port)
    return listening


async def _run(job: dict[str, Any]) -> Load:
    waiting = iter(
        [
            request(job["url"], body.encode(), {**job["headers"], "Idempotency-Key": f"{time.time_ns():x}-{n}"})
            for n, body in enumerate(job["bodies"])
        ]
    )
    found = Load(0, 0)
    connections = [await Connection.open(job["url"]) for _ in range(job["connections"])]

    async def hand(connection: Connection) -> None:
        for content in waiting:
            began = time.perf_counter()
            status, body = await connection.send(content)
            found.latencies.append(time.perf_counter() - began)
            found.statuses[str(status)] = found.statuses.get(str(status), 0) + 1
            if status >= 400 and not found.first_refusal:
                found.first_refusal = body.decode(errors="replace")

    used = resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    hands = asyncio.gather(*map(hand, connections))
    before = -1
    while not hands.done():
        await asyncio.wait([hands], timeout=PATIENCE)
        check(hands.done() or len(found.latencies) > before, f"no answer for {PATIENCE:.0f} s")
        before = len(found.latencies)
    await hands
    found.seconds = time.perf_counter() - began
    now = resource.getrusage(resource.RUSAGE_SELF)
    found.cpu_seconds = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    for connection in connections:
        connection.close()
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(uvloop.run(_run(json.load(sys.stdin))))))
