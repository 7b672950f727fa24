"""Connections as they may behave: a request begins soon, comes in at some pace, is read at some pace; not too many.

uvicorn bounds how long a connection may rest between two requests, and nothing else: whoever connects and says nothing,
or one byte a minute, stays for ever. This is its protocol with those bounds. Where there are more connections than are
allowed, the one that has rested longest goes, so that idle ones never keep others out.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

RESERVED_FILES = 256
"""File descriptors left for MongoDB, Kafka, keys and logs."""

EXCESS = 4 * 1024 * 1024
"""Bytes of a body that still may come after its answer: to close at once would lose the answer on its way."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`head`: seconds for a request line and its headers. `grace` and `rate`: a body may take `grace` seconds and one
    more for every `rate` bytes of it. `reading`: seconds in which a client must take what was sent to it.
    """

    most: int = 12_000
    head: float = 10.0
    head_bytes: int = 64 * 1024
    grace: float = 10.0
    rate: int = 1_024
    reading: float = 30.0


def most_connections(wanted: int) -> int:
    """How many connections this process can have, at most `wanted`: its limit of files is raised as far as it may be."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = wanted + RESERVED_FILES if hard == resource.RLIM_INFINITY else min(hard, wanted + RESERVED_FILES)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return max(1, files - RESERVED_FILES)


def bounded(limits: Limits) -> type[HttpToolsProtocol]:
    """The protocol of one server with these limits, for `uvicorn.Config(http=…)`."""
    return type("BoundedConnection", (Connection,), {"limits": limits, "resting": {}})


class Connection(HttpToolsProtocol):
    """One connection; see `bounded`."""

    limits: ClassVar[Limits]
    resting: ClassVar[dict[Connection, None]]
    """Connections with no request under way, the longest resting first."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._timer: asyncio.TimerHandle | None = None
        self._reader: asyncio.TimerHandle | None = None
        self._in_head = False
        self._in_body = False
        self._came = 0
        self._begun = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        if len(self.connections) > self.limits.most:
            longest = next(iter(self.resting), None)
            if longest is None:
                self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
                return
            longest.leave()
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self.resume_writing()
        self.resting.pop(self, None)
        super().connection_lost(exc)

    def leave(self) -> None:
        """Make room for another."""
        self.resting.pop(self, None)
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._came += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_body:
            if self._timer is None:
                self._timer = self.loop.call_later(self.limits.grace, self._look_at_body)
            if self.cycle.response_complete and self._came > EXCESS:
                self.transport.close()
        elif self._in_head or self._at_rest():
            if self._timer is None:
                self._await_head(len(data))
            if self._came > self.limits.head_bytes:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._stop_timer()
        self.resting.pop(self, None)
        self._in_head, self._in_body = False, True
        self._begun, self._came = self.loop.time(), 0

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._stop_timer()
        self._in_body = False
        self._came = 0

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._at_rest() and not self._in_head and not self._in_body:
            self.resting[self] = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reader = self.loop.call_later(self.limits.reading, self.transport.abort)

    def resume_writing(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None
        super().resume_writing()

    def _at_rest(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _await_head(self, came: int = 0) -> None:
        self._came = came
        self._timer = self.loop.call_later(self.limits.head, self._head_late)
        self.resting[self] = None

    def _head_late(self) -> None:
        self._timer = None
        if not self._at_rest():  # an answer is still under way; after it the next request is waited for again
            self._timer = self.loop.call_later(self.limits.head, self._head_late)
        elif self._came:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def _look_at_body(self) -> None:
        now = self.loop.time()
        if self.flow.read_paused:  # it is us who are slow
            self._begun, self._came = now, 0
        left = self.limits.grace + self._came / self.limits.rate - (now - self._begun)
        if left > 0:
            self._timer = self.loop.call_later(left, self._look_at_body)
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _refuse(self, status: HTTPStatus) -> None:
        """Say why, where nothing was said yet, and hang up; a use case under way sees that its client is gone."""
        self._stop_timer()
        self.resting.pop(self, None)
        if self._at_rest() or not self.cycle.response_started:
            again = "retry-after: 2\r\n" if status == HTTPStatus.SERVICE_UNAVAILABLE else ""
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\n{again}content-length: 0\r\nconnection: close\r\n\r\n"
            self.transport.write(head.encode())
        self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
