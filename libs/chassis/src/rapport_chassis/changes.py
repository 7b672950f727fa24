"""What changes in a collection, told to many listeners of one process through a single change stream.

A listener hears of documents, not of each write: while it is busy, several changes of one document become one. It may
therefore take any time without holding up another, and what waits for it is bounded by a number of documents.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog
from pymongo.errors import OperationFailure, PyMongoError

from rapport_chassis.ending import end

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from typing import Self

    from pymongo.asynchronous.change_stream import AsyncChangeStream
    from pymongo.asynchronous.collection import AsyncCollection

log = structlog.get_logger(__name__)

_WRITES = frozenset({"insert", "update", "replace", "delete"})
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


@dataclass(frozen=True, slots=True)
class Change:
    """A document that was written or removed; `document` is None when it is removed or was not asked for."""

    id: Any
    document: dict[str, Any] | None
    removed: bool = False


class Reset:
    """Changes may have been missed: read again whatever was derived from the collection."""

    def __repr__(self) -> str:
        return "RESET"


RESET: Final = Reset()


class Changes:
    """What one listener has not taken yet: the newest change of each document, in the order they were first heard of."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._waiting: OrderedDict[Any, Change] = OrderedDict()
        self._reset = False
        self._news = asyncio.Event()

    async def get(self) -> Change | Reset:
        """The next change, or `RESET`; waits for one."""
        while not self._reset and not self._waiting:
            self._news.clear()
            await self._news.wait()
        if self._reset:
            self._reset = False
            return RESET
        return self._waiting.popitem(last=False)[1]

    async def take(self) -> list[Change] | Reset:
        """All that waits, or `RESET`; waits for one."""
        first = await self.get()
        if isinstance(first, Reset):
            return first
        rest = list(self._waiting.values())
        self._waiting.clear()
        return [first, *rest]

    def __len__(self) -> int:
        return len(self._waiting) + self._reset

    def put(self, change: Change) -> None:
        if change.id not in self._waiting and len(self._waiting) >= self._size:
            self.reset()
            return
        if not self._reset:
            self._waiting[change.id] = change
        self._news.set()

    def reset(self) -> None:
        """One marker instead of everything that waits: whoever reads again sees all of it."""
        self._waiting.clear()
        self._reset = True
        self._news.set()


class ChangeFeed:
    """One change stream on `collection`, whatever the number of listeners. Runs between `async with` and its end.

    With `documents` a change carries the document as it is when read; without, only what the write itself told.
    It starts anew after any error. When the position it had reached has left the server's log, and whenever a listener
    has more than `waiting` documents to take, listeners get `RESET`.
    """

    def __init__(
        self, collection: AsyncCollection[dict[str, Any]], *, documents: bool = True, waiting: int = 1000
    ) -> None:
        self._collection = collection
        self._full_document = "updateLookup" if documents else None
        self._waiting = waiting
        self._listeners: set[Changes] = set()
        self._position: Mapping[str, Any] | None = None
        self._listening = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name=f"changes of {self._collection.name}")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await end([self._task])
            self._task = None

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[Changes]:
        """A queue of all changes from here on: read the collection inside, after subscribing, and nothing is missed."""
        await self._listening.wait()
        changes = Changes(self._waiting)
        self._listeners.add(changes)
        try:
            yield changes
        finally:
            self._listeners.discard(changes)

    async def _run(self) -> None:
        pause = _SHORTEST_PAUSE
        while True:
            try:
                async with await self._collection.watch(
                    full_document=self._full_document, resume_after=self._position, max_await_time_ms=1000
                ) as stream:
                    # Told after the opening: what is read again from now on misses nothing.
                    if self._position is None:
                        self.reset()
                    self._listening.set()
                    pause = _SHORTEST_PAUSE
                    await self._tell(stream)
                self._position = None  # the collection was dropped or renamed
            except PyMongoError as error:
                log.warning(
                    "change stream starts anew", collection=self._collection.full_name, pause_s=pause, exc_info=error
                )
                # What the driver could not resume by itself and the server refuses will be refused again: the position
                # has left the oplog, or was one of a collection that is gone.
                if isinstance(error, OperationFailure):
                    self._position = None
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def _tell(self, stream: AsyncChangeStream[dict[str, Any]]) -> None:
        while stream.alive:
            told = await stream.try_next()
            # Moves on while nothing happens here, too, or a quiet collection would lose its place in a busy log.
            self._position = stream.resume_token
            if told is None:
                continue
            if told["operationType"] in _WRITES:
                change = Change(told["documentKey"]["_id"], told.get("fullDocument"), told["operationType"] == "delete")
                for listener in self._listeners:
                    listener.put(change)
            else:
                self.reset()

    def reset(self) -> None:
        """Tell every listener to read again."""
        for listener in self._listeners:
            listener.reset()
