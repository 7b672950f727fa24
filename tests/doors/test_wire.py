"""The rows of the catalogue that are about bytes on a connection (B1 to B4, B15 to B18, B20), at every door."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from rapport_chassis.http.connections import Limits

from tests.doors.catalogue import LIMIT, bad
from tests.doors.conftest import Site, served
from tests.doors.door import Door

BOUND = 1.0
"""Seconds that a head or a body may take."""
MARGIN = 30.0
"""For a machine that is busy with other tests."""
AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Sent:
    """Bytes for one connection. `statuses`: of the first answer; 0 is a connection that is closed without a word."""

    what: str
    pieces: tuple[bytes, ...]
    statuses: frozenset[int]
    leaves: bool = False
    """Whether the client hangs up without waiting for an answer."""


def head(door: Door, token: str, *lines: str, path: str | None = None, without: tuple[str, ...] = ()) -> bytes:
    """Request line and headers of a request that fits, without the empty line."""
    usual = bad(door, "", 0)
    given = [
        f"{name}: {value if isinstance(value, str) else value.decode()}"
        for name, value in usual.headers
        if name not in without
    ]
    target = path or usual.url
    return "\r\n".join(
        [f"{door.method} {target} HTTP/1.1", "Host: service.test", f"Authorization: Bearer {token}", *given, *lines, ""]
    ).encode()


def body(door: Door) -> bytes:
    content = bad(door, "", 0).content
    return content if isinstance(content, bytes) else b""


def lengths(door: Door, token: str) -> Iterator[Sent]:
    """B1, B3."""
    good = body(door)
    if not door.streaming:
        for length in (LIMIT + 1, 10**12):
            yield Sent(
                f"{length} bytes to come", (head(door, token, f"Content-Length: {length}") + b"\r\n",), just(413)
            )
    for length in ("-1", "1e3", "0x10", "10, 12", "+5", " ", "9" * 400):
        lines = head(door, token, f"Content-Length: {length}") + b"\r\n"
        yield Sent(f"a length of {length[:9]}", (lines + good,), just(400))
    twice = head(door, token, "Content-Length: 5", "Content-Length: 6") + b"\r\n" + good
    yield Sent("two lengths", (twice,), just(400))
    if door.takes_json:
        long = head(door, token, f"Content-Length: {len(good) + 50}") + b"\r\n" + good
        yield Sent("less than was said", (long,), just(408))
        short = head(door, token, f"Content-Length: {len(good) - 1}") + b"\r\n" + good
        yield Sent("more than was said", (short,), just(400))


def chunks(door: Door, token: str) -> Iterator[Sent]:
    """B2, B4."""
    if door.takes_json:
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        yield Sent(
            "chunks without end", (head(door, token, "Transfer-Encoding: chunked") + b"\r\n", *[chunk] * 17), just(413)
        )
    good = body(door)
    both = head(door, token, "Transfer-Encoding: chunked", f"Content-Length: {len(good)}") + b"\r\n"
    yield Sent("both, a length of all", (both + good,), just(400, 0))
    smuggled = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    both = head(door, token, "Transfer-Encoding: chunked", f"Content-Length: {len(smuggled)}") + b"\r\n"
    yield Sent("both, another request inside", (both + smuggled,), just(400, 0))
    for coding in ("xchunked", "identity", "gzip, chunked, x", "chunked, chunked"):
        lines = head(door, token, f"Transfer-Encoding: {coding}", "Content-Length: 3") + b"\r\nabc"
        yield Sent(f"coded as {coding} with a length", (lines,), just(400, 0))
    bad_chunk = head(door, token, "Transfer-Encoding: chunked") + b"\r\nZZ\r\n{}\r\n0\r\n\r\n"
    yield Sent("a chunk of ZZ bytes", (bad_chunk,), just(400, 0))


def heads(door: Door, token: str) -> Iterator[Sent]:
    """B15, B16."""
    yield Sent("a header of 300 000 bytes", (head(door, token) + b"X: " + b"x" * 300_000,), just(431, 0))
    many = "&".join(f"a{n}=1" for n in range(100_000))
    yield Sent("100 000 parameters", (head(door, token, path=f"{door.url()}?{many}") + b"\r\n",), just(431, 414, 0))
    yield Sent("a bare line end in a header", (head(door, token, "X: a\rY: b") + b"\r\n",), just(400, 0))
    yield Sent("a header without a name", (head(door, token, ": b") + b"\r\n",), just(400, 0))
    yield Sent("a blank before the colon", (head(door, token, "Content-Length : 3") + b"\r\nabc",), just(400, 0))
    yield Sent("NUL in a header", (head(door, token, "X: a\x00b") + b"\r\n",), just(400, 0))
    if door.roles:
        lines = head(door, token, "Authorization: Bearer x", "Content-Length: 0") + b"\r\n"
        yield Sent("two tokens", (lines,), just(401))


def slow(door: Door, token: str) -> Iterator[Sent]:
    """B17."""
    yield Sent("a head that never ends", (head(door, token),), just(408))
    if door.takes_json:
        yield Sent("a body that never comes", (head(door, token, "Content-Length: 500") + b"\r\n{",), just(408))


def leaving(door: Door, token: str) -> Iterator[Sent]:
    """B18."""
    good = body(door)
    if door.takes_json:
        whole = head(door, token, f"Content-Length: {len(good)}") + b"\r\n" + good
        yield Sent("leaves before the last byte", (whole[:-1],), just(0), leaves=True)
        half = len(good) // 2
        parts = (
            head(door, token, "Transfer-Encoding: chunked") + b"\r\n" + f"{half:x}\r\n".encode() + good[:half] + b"\r\n"
        )
        yield Sent("leaves between chunks", (parts,), just(0), leaves=True)
    elif door.writes:
        yield Sent("leaves in the head", (head(door, token)[:-2],), just(0), leaves=True)


def spellings(door: Door, token: str) -> Iterator[Sent]:
    """B20: what clients tidy up before they send it."""
    path = door.url()
    for what, other in (
        ("a slash before", f"/{path}"),
        ("a dot", f"/.{path}"),
        ("a dot, encoded", f"/%2e{path}"),
        ("up and down", f"/x/..{path}"),
        ("up and down, encoded", f"/x/%2e%2e{path}"),
        ("backslashes", path.replace("/", "\\")),
        ("NUL", f"{path}%00" if not path.rpartition("/")[2].startswith("{") else f"/%00{path}"),
    ):
        lines = head(door, token, f"Content-Length: {len(body(door))}", path=other) + b"\r\n" + body(door)
        yield Sent(what, (lines,), just(404, 405, 400, 422))


def just(*statuses: int) -> frozenset[int]:
    return frozenset(statuses)


async def answered(port: int, sent: Sent) -> str | None:
    """What is wrong with the answer, None where it is as it must be."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(BOUND + MARGIN):
            try:
                for piece in sent.pieces:
                    writer.write(piece)
                    await writer.drain()
                if sent.leaves:
                    writer.transport.abort()
                    return None
                first = await reader.readline()
                rest = await reader.read(65_536) if first else b""
            except ConnectionError:
                first, rest = b"", b""
    except TimeoutError:
        return f"still waiting after {BOUND + MARGIN} s"
    finally:
        writer.close()
    status = int(first.split()[1]) if first else 0
    if status not in sent.statuses:
        return f"{status}, not {sorted(sent.statuses)}: {rest[:200]!r}"
    if b"smuggled" in rest or b"Traceback" in rest:
        return f"said {rest[:200]!r}"
    return None


@pytest.fixture
async def port(house: Site) -> AsyncIterator[int]:
    async with served(house, Limits(head=BOUND, grace=BOUND, reading=BOUND)) as found:
        yield found


def about(row: Callable[[Door, str], Iterator[Sent]]) -> Any:
    """As a case that says which rows of the catalogue it is about; its docstring does."""
    rows = re.findall(r"\bB\d+\b", row.__doc__ or "")
    return pytest.param(row, marks=pytest.mark.catalogue(*rows), id=row.__name__)


@pytest.mark.parametrize("row", [about(row) for row in (lengths, chunks, heads, slow, leaving, spellings)])
async def test_bad_bytes_are_refused_and_change_nothing(house: Site, port: int, row) -> None:
    before = await house.state()
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(door: Door, sent: Sent) -> str | None:
        async with turns:
            complaint = await answered(port, sent)
        return complaint and f"{door}: {sent.what}: {complaint}"

    cases = [
        (door, sent) for door in house.doors for sent in row(door, house.component.token(*(door.roles or ["none"])))
    ]
    wrong = [found for found in await asyncio.gather(*(one(*case) for case in cases)) if found]
    assert not wrong, f"{len(wrong)} of {len(cases)} wrong\n" + "\n".join(wrong[:40])
    assert await house.state() == before
