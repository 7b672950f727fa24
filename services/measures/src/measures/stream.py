"""Figures as they change, by Server-Sent Events (WHATWG HTML, section 9.2): one change stream a process.

A client gets `ready`, reads `GET /measures`, and then keeps what it read current by the `figure` events, whose data is
the figure as it is now. After `reset` it reads again. A client that comes back with Last-Event-ID gets the figures
that changed since; as figures are states and no steps, one that is told twice does no harm.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Header, HTTPException, Request
from fastapi import Query as Parameter
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from pydantic import TypeAdapter
from rapport_chassis.access import Unauthenticated
from rapport_chassis.changes import ChangeFeed, Changes, Reset
from rapport_chassis.http import Access, Routes

from measures.domain.measure import Figure
from measures.views import FigureView

if TYPE_CHECKING:
    from rapport_chassis.access import TokenVerifier
    from rapport_chassis.runtime import Runtime

HEARTBEAT = 10.0
"""Seconds without news after which a comment is sent, so that both ends notice a line that is dead."""

OVERLAP_US = 60_000_000
"""Figures are timed before they are committed: what changed this much before the last one told is told again."""

_FIGURE = TypeAdapter(Figure)


class Feed:
    """The process's one change stream on the figures in force: opened with the first listener, closed with the last."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._turn = asyncio.Lock()
        self._feeds: dict[str, tuple[ChangeFeed, int]] = {}
        runtime.turned.append(self._reset)

    @classmethod
    def of(cls, state: Any) -> "Feed":
        """The one of this process."""
        if not hasattr(state, "figures"):
            state.figures = cls(state.runtime)
        found: Feed = state.figures
        return found

    @property
    def collection(self) -> str:
        """The figures in force: another collection once the projection was made anew."""
        return self._runtime.documents.generation.name("figures")

    @asynccontextmanager
    async def listen(self, collection: str) -> AsyncIterator[Changes]:
        """Its changes; RESET also when other figures are in force."""
        async with self._turn:
            if collection not in self._feeds:
                self._feeds[collection] = await ChangeFeed(self._runtime.database[collection]).__aenter__(), 0
            feed, listeners = self._feeds[collection]
            self._feeds[collection] = feed, listeners + 1
        try:
            async with feed.subscribe() as changes:
                yield changes
        finally:
            feed, listeners = self._feeds.pop(collection)
            if listeners > 1:
                self._feeds[collection] = feed, listeners - 1
            else:
                await feed.__aexit__(None, None, None)

    async def changed_since(self, moment: int) -> list[dict[str, Any]]:
        """Figures written after this moment (µs), and some from shortly before it."""
        recent = {"changed_at": {"$gt": moment - OVERLAP_US}}
        found: list[dict[str, Any]] = (
            await self._runtime.database[self.collection].find(recent).sort("changed_at").to_list()
        )
        return found

    def _reset(self) -> None:
        for feed, _ in self._feeds.values():
            feed.reset()


def add_to(routes: Routes, access: Access) -> None:
    """Add `GET /measures/stream`."""

    @routes.get("/measures/stream", access=access, response_class=EventSource)
    async def stream(
        request: Request,
        synthetic: Annotated[bool | None, Parameter(description="Only figures of synthetic data, or of real")] = None,
        last_event_id: Annotated[str | None, Header(max_length=20, description="`id` of the last event seen")] = None,
    ) -> EventSource:
        """Figures as they change: events `ready`, `figure` (a FigureView as JSON) and `reset` (read again)."""
        if last_event_id is not None and not (last_event_id.isascii() and last_event_id.isdigit()):
            raise HTTPException(400, "Last-Event-ID must be the id of an event of this stream")
        since = None if last_event_id is None else int(last_event_id)
        return EventSource(_events(request, synthetic, since), headers={"Cache-Control": "no-store"})


class EventSource(StreamingResponse):
    media_type = "text/event-stream"


async def _events(request: Request, synthetic: bool | None, since: int | None) -> AsyncIterator[bytes]:  # noqa: FBT001 - three values
    state = request.app.state
    feed = Feed.of(state)
    token = request.headers["authorization"].partition(" ")[2].strip()
    async with AsyncExitStack() as listening:
        collection = feed.collection
        changes = await listening.enter_async_context(feed.listen(collection))
        last = since if since is not None else int(time.time() * 1_000_000)
        yield format_sse_event(event="ready", data_str="{}", id=str(last), retry=2_000)
        waiting = await feed.changed_since(since) if since is not None else []
        checked = time.monotonic()
        while True:
            told = []
            for document in waiting:
                if synthetic is None or document["synthetic"] == synthetic:
                    last = max(last, document["changed_at"])
                    told.append(format_sse_event(event="figure", data_str=_figure(document), id=str(last)))
            if told:
                yield b"".join(told)  # a batch of responses changes many figures: one piece, not one for each
            waiting = []
            if time.monotonic() - checked > HEARTBEAT:
                checked = time.monotonic()
                if not await _is_good(token, state.verifier):
                    return  # whoever comes back brings a token that is
            try:
                news = await asyncio.wait_for(changes.take(), HEARTBEAT)
            except TimeoutError:
                yield format_sse_event(comment="still here")
                continue
            if isinstance(news, Reset):
                if collection != feed.collection:
                    await listening.aclose()
                    collection = feed.collection
                    changes = await listening.enter_async_context(feed.listen(collection))
                yield format_sse_event(event="reset", data_str="{}", id=str(last))
            else:
                waiting = [change.document for change in news if change.document is not None]


async def _is_good(token: str, verifier: "TokenVerifier") -> bool:
    try:
        await verifier.verify(token)
    except Unauthenticated:
        return False
    return True


def _figure(document: dict[str, Any]) -> str:
    return FigureView.of(_FIGURE.validate_python({**document, "id": document["_id"]})).model_dump_json()
