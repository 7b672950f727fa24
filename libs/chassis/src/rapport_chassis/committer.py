"""The committer: write-sets that wait at the same moment share one MongoDB transaction (group commit).

While a transaction is under way, new write-sets gather; the next transaction takes them all. At low load that is one
write-set per transaction and nothing is waited for; at 64 at once it is the largest single win of the write path.
If a precondition fails, the batch is taken apart and tried one by one, so that only the loser hears of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import bson
import pymongo
import structlog
from opentelemetry import trace
from pymongo import DeleteOne, InsertOne, ReadPreference, ReplaceOne
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DocumentTooLarge,
    DuplicateKeyError,
    ExecutionTimeout,
    InvalidOperation,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from rapport_chassis import metrics, telemetry
from rapport_chassis.errors import Conflict, Unavailable
from rapport_chassis.journal import JOURNAL
from rapport_chassis.write_set import ABSENT, ANY, WriteSet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.trace import SpanContext
    from pymongo.asynchronous.client_session import AsyncClientSession
    from pymongo.asynchronous.mongo_client import AsyncMongoClient

    from rapport_chassis.write_set import Write

log = structlog.get_logger(__name__)

DUPLICATE_KEY = 11000
EXCEEDS_CACHE = ("Cache full", "will not fit in the storage engine cache")
"""What MongoDB says of a transaction that its cache has no room for; the first it calls transient, the second not."""
LITTLE = 256 * 1024
"""Bytes that fit any cache: where they do not, it is others that fill it, and later there will be room."""
ABORT_SECONDS = 1.0
"""For tidying up after a transaction that failed; what is not tidied the server gives up by itself."""


class TooLarge(Exception):
    """A write-set that no transaction takes: a document beyond what MongoDB stores, or more than fits its cache."""


@dataclass(slots=True)
class _Waiting:
    write_set: WriteSet
    done: asyncio.Future[None]
    context: SpanContext
    alone: bool = False
    gone: bool = False
    """Nobody waits for it any more."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`documents`: of one transaction; `queue`: write-sets that may wait; `patience`: seconds until an answer.

    `stalled`: seconds for which a transaction may lie idle before whoever it keeps waiting ends it.
    """

    documents: int = 2_000
    queue: int = 10_000
    patience: float = 10.0
    stalled: float = 5.0
    back_off: float = 0.02
    most_back_off: float = 0.5


@dataclass(slots=True)
class Committer:
    """One per process. `commit` returns once the write-set is durable on a majority, journalled.

    Raises Conflict (a document is not in the version that was expected, or exists), Unavailable (the store did not
    take it in time; the outcome may be unknown, a retry with the same Idempotency-Key is safe) and TooLarge.
    """

    client: AsyncMongoClient[dict[str, Any]]
    database: str
    limits: Limits = field(default_factory=Limits)
    committed: Callable[[WriteSet], None] | None = None
    """Called after each commit that held events: the relay's bell."""
    _queue: deque[_Waiting] = field(default_factory=deque)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None
    _closing: bool = False

    async def commit(self, write_set: WriteSet) -> None:
        if not write_set:
            return
        if self._closing or len(self._queue) >= self.limits.queue:
            raise Unavailable("too many writes are waiting; try again shortly")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(write_set, done, trace.get_current_span().get_span_context())
        self._queue.append(waiting)
        self._wake.set()
        if self._task is None or self._task.done():
            # The flush runs in a task of its own: a client that goes away cancels its request, never a transaction.
            self._task = asyncio.create_task(self._flush_all(), name="committer")
        try:
            await done
        except asyncio.CancelledError:
            waiting.gone = True
            raise

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def close(self) -> None:
        """Commit what waits, then refuse more."""
        self._closing = True
        if self._task is not None:
            await self._task

    async def _flush_all(self) -> None:
        while self._queue:
            batch = self._take()
            try:
                await self._flush(batch)
            except BaseException as error:  # the waiting must hear of it, whatever it is
                for waiting in batch:
                    _settle(waiting, error)
                if not isinstance(error, Exception):
                    raise

    def _take(self) -> list[_Waiting]:
        """As many of the waiting as fit a transaction. No two of them write the same document: the second would fail."""
        batch: list[_Waiting] = []
        touched: set[tuple[str, str]] = set()
        size = 0
        left: list[_Waiting] = []
        while self._queue:
            waiting = self._queue.popleft()
            if waiting.gone:  # it was told that it was not done: so be it
                continue
            documents = {(w.collection, w.id) for w in waiting.write_set.writes}
            if batch and (waiting.alone or batch[0].alone or size + len(waiting.write_set) > self.limits.documents):
                self._queue.appendleft(waiting)
                break
            if documents & touched:
                left.append(waiting)
                touched |= documents
                continue
            batch.append(waiting)
            touched |= documents
            size += len(waiting.write_set)
        self._queue.extendleft(reversed(left))
        return batch

    async def _flush(self, batch: list[_Waiting]) -> None:
        with telemetry.flush_span(self.database, [waiting.context for waiting in batch], len(batch)):
            try:
                await self._in_transaction([waiting.write_set for waiting in batch])
            except Unavailable:
                raise
            except Exception:
                # Whatever is wrong with one of them (a lost race, a document no store takes) is its own affair.
                if len(batch) == 1:
                    raise
                for waiting in reversed(batch):
                    waiting.alone = True
                    self._queue.appendleft(waiting)
                return
        metrics.FLUSH_SIZE.observe(len(batch))
        for waiting in batch:
            _settle(waiting, None)
            if self.committed is not None and waiting.write_set.journal:
                self.committed(waiting.write_set)

    async def _in_transaction(self, write_sets: Sequence[WriteSet]) -> None:
        """Our own bound around the retries: the driver's would go on for two minutes."""
        deadline = time.monotonic() + self.limits.patience
        pause = self.limits.back_off
        while True:
            try:
                async with self.client.start_session(causal_consistency=False) as session:
                    await session.start_transaction(
                        read_concern=ReadConcern("snapshot"),
                        write_concern=WriteConcern("majority", j=True),
                        read_preference=ReadPreference.PRIMARY,
                    )
                    try:
                        # Bounds what the driver does by itself: choosing a server, waiting for it, trying again.
                        with pymongo.timeout(max(0.1, deadline - time.monotonic())):
                            await self._write(session, write_sets)
                            await self._commit(session, deadline)
                    finally:
                        if session.in_transaction:
                            with contextlib.suppress(PyMongoError, InvalidOperation), pymongo.timeout(ABORT_SECONDS):
                                await session.abort_transaction()
                    return
            except PyMongoError as error:
                if _exceeds_cache(error) and sum(map(_size, write_sets)) > LITTLE:
                    raise TooLarge("it is more than fits the store's cache at once") from error
                if not (is_transient(error) or _exceeds_cache(error)):
                    raise
                metrics.COMMIT_RETRIES.inc()
                if time.monotonic() + pause > deadline:
                    raise Unavailable("the store does not take writes at present") from error
                if pause > self.limits.back_off:  # more than a passing quarrel
                    await self._end_abandoned()
                await asyncio.sleep(pause)
                pause = min(pause * 2, self.limits.most_back_off)

    async def _end_abandoned(self) -> None:
        """End what a dead or stalled process had begun: it would hold its documents until the server gives it up, after 60 s.

        Abandoned is a transaction in which nothing runs and whose connection is gone, or in which nothing has run for
        `stalled` seconds: one of ours takes a fraction of that. Where it still has an owner, the owner begins again, as
        after any network error. Needs no privilege: a user sees and ends its own sessions.
        """
        with contextlib.suppress(PyMongoError), pymongo.timeout(ABORT_SECONDS):  # then the server's limit ends it
            seen = await self.client.admin.aggregate([{"$currentOp": {"idleSessions": True, "idleConnections": True}}])
            async with seen:
                found = await seen.to_list()
            connected = {each.get("connectionId") for each in found if each["type"] == "op"}
            abandoned = [
                {"id": each["lsid"]["id"]}
                for each in found
                if each["type"] == "idleSession"
                and "transaction" in each
                and (
                    each.get("connectionId") not in connected
                    or each["transaction"]["timeInactiveMicros"] > self.limits.stalled * 1_000_000
                )
            ]
            if abandoned:
                await self.client.admin.command("killSessions", abandoned)
                log.warning("ended what a process that is gone or stalled had begun", transactions=len(abandoned))

    async def _commit(self, session: AsyncClientSession, deadline: float) -> None:
        """Until it is known to have happened. Raises Unavailable where that stays in doubt: nothing is written again then.

        Only TransientTransactionError says that it did not happen, and that the transaction may begin again. After any
        other error it may have: whoever wrote the same again would find it there, and call it a conflict.
        """
        too_large: PyMongoError | None = None
        while True:
            try:
                await session.commit_transaction()
            except PyMongoError as error:
                if error.has_error_label("TransientTransactionError"):
                    raise too_large or error from None
                too_large = error if _exceeds_cache(error) else too_large
                metrics.COMMIT_RETRIES.inc()
                if time.monotonic() + self.limits.back_off > deadline:
                    raise Unavailable("whether the store took the write is not known") from error
                await asyncio.sleep(self.limits.back_off)
            else:
                return

    def _grouped(self, write_sets: Sequence[WriteSet]) -> dict[tuple[str, str, bool], list[Write]]:
        """By database, collection, and whether what stands there matters."""
        grouped: dict[tuple[str, str, bool], list[Write]] = {}
        for write_set in write_sets:
            for write in write_set.writes:
                place = (write.database or self.database, write_set.place(write), write.expected == ANY)
                grouped.setdefault(place, []).append(write)
        return grouped

    async def _write(self, session: AsyncClientSession, write_sets: Sequence[WriteSet]) -> None:
        try:
            for (database, collection, anyhow), writes in sorted(self._grouped(write_sets).items()):
                place = self.client[database][collection]
                if len(writes) == 1 and writes[0].expected == ABSENT and writes[0].document is not None:
                    await place.insert_one(writes[0].document, session=session)  # cheaper than a bulk of one
                    continue
                result = await place.bulk_write(
                    [_operation(write) for write in writes],
                    ordered=True,
                    session=session,
                )
                wanted = sum(1 for write in writes if write.expected > ABSENT)
                found = result.matched_count + result.deleted_count
                if found < wanted and not anyhow:
                    raise Conflict("what was read has been changed by another in the meantime")
            journal = [entry for write_set in write_sets for entry in write_set.journal]
            if len(journal) == 1:
                await self.client[self.database][JOURNAL].insert_one(journal[0], session=session)
            elif journal:
                await self.client[self.database][JOURNAL].insert_many(journal, session=session)
        except DuplicateKeyError as error:
            raise Conflict("it exists already") from error
        except BulkWriteError as error:
            if any(e.get("code") == DUPLICATE_KEY for e in error.details.get("writeErrors", ())):
                raise Conflict("it exists already") from error
            raise
        except DocumentTooLarge as error:
            raise TooLarge("a document is larger than the store takes") from error


def _operation(write: Write) -> InsertOne[dict[str, Any]] | ReplaceOne[dict[str, Any]] | DeleteOne:
    if write.document is None:
        return DeleteOne({"_id": write.id, "version": write.expected})
    if write.expected == ABSENT:
        return InsertOne(write.document)
    if write.expected == ANY:
        return ReplaceOne({"_id": write.id}, write.document, upsert=True)
    return ReplaceOne({"_id": write.id, "version": write.expected}, write.document)


def _exceeds_cache(error: PyMongoError) -> bool:
    said = str(error)
    return any(each in said for each in EXCEEDS_CACHE)


def _size(write_set: WriteSet) -> int:
    """Bytes of its documents."""
    documents = [write.document for write in write_set.writes if write.document is not None]
    return sum(len(bson.encode(document)) for document in (*documents, *write_set.journal))


def _settle(waiting: _Waiting, error: BaseException | None) -> None:
    if waiting.done.done():
        return
    if error is None:
        waiting.done.set_result(None)
    else:
        waiting.done.set_exception(error)
        waiting.done.exception()  # a client that went away must not leave a warning behind


def is_transient(error: BaseException) -> bool:
    """Whether trying again later can help: the store, the network or an election, never the data."""
    if isinstance(error, Unavailable):
        return True
    if isinstance(error, PyMongoError):
        if (
            error.timeout
            or error.has_error_label("TransientTransactionError")
            or error.has_error_label("RetryableWriteError")
        ):
            return True
        if isinstance(error, ConnectionFailure | WTimeoutError | ExecutionTimeout):
            return True
        return isinstance(error, OperationFailure) and error.code in TRANSIENT_CODES
    return isinstance(error, ConnectionError | TimeoutError)


TRANSIENT_CODES = frozenset(
    {6, 7, 24, 50, 64, 89, 91, 112, 134, 189, 202, 246, 251, 262, 317, 9001, 10107, 11600, 11602}
)
"""Host unreachable, lock timeouts, write conflict, elections, lost transactions: from MongoDB's error_codes.yml."""
