"""The unit of work: what one use case reads, changes and tells, handed back as one write-set.

There is one object per document within a unit, so that a later event of a consumed batch sees what an earlier one
changed, and a document is serialised once however often it was touched.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, Self

import uuid_utils
from rapport_events.envelope import Envelope
from rapport_events.event import Sealed

from rapport_chassis import journal, telemetry
from rapport_chassis.errors import PreconditionFailed
from rapport_chassis.sealing import ERASED, SealBroken, open_sealed, seal
from rapport_chassis.write_set import ABSENT, ANY, Write, WriteSet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rapport_events.event import Event

    from rapport_chassis.access import Principal
    from rapport_chassis.documents import Document, Documents
    from rapport_chassis.repository import Repository

_DAY_US = 86_400_000_000


class Keys(Protocol):
    """The part of the keyring a unit of work needs (see `keyring.Keyring`)."""

    database: str

    async def keys(self, subjects: Sequence[str]) -> dict[str, bytes | None]: ...

    async def fresh_all(self, subjects: Sequence[str]) -> Mapping[str, tuple[bytes, Document | None]]: ...

    def remember(self, subject: str, key: bytes) -> None: ...

    def forget(self, subject: str) -> None: ...

    def tombstone(self, subject: str) -> Document: ...

    def blind(self, text: str) -> str: ...


def new_id() -> str:
    """A UUIDv7 (RFC 9562): sorted by time, without meaning."""
    return str(uuid_utils.uuid7())


class Origin(Protocol):
    """Where an event being consumed comes from; its whole envelope is read only where a use case asks for it."""

    @property
    def id(self) -> str: ...

    @property
    def correlationid(self) -> str: ...

    @property
    def envelope(self) -> Envelope: ...


@dataclass(frozen=True, slots=True)
class Told:
    """An event that a use case emitted, with the id and trace context it will carry."""

    event: Event
    id: str
    context: tuple[str | None, str | None]
    cause: Envelope | Origin | None
    coarse: bool = False


@dataclass(slots=True)
class Circumstances:
    """What surrounds a unit of work: made once, so that a second attempt at the commit tells the same story."""

    source: str
    actor: str
    caller: Principal | None = None
    """Who asked for it; None where the service acts on its own account."""
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    correlation: str = field(default_factory=new_id)
    expected: Mapping[str, int] = field(default_factory=dict)
    """Versions that the client named with If-Match, by document id."""


class UnitOfWork:
    """Base of a service's own unit of work, which declares its repositories as class attributes."""

    def __init__(self, documents: Documents, keyring: Keys, circumstances: Circumstances) -> None:
        self.documents = documents
        self.keyring = keyring
        self.circumstances = circumstances
        self.repositories: dict[str, Repository[Any]] = {}
        self.positions: dict[str, int] = {}
        self.known_keys: dict[str, bytes] = {}
        self.origin: Envelope | Origin | None = None
        self.told: list[Told] = []
        self.extra: list[Write] = []
        self._lost: set[str] = set()
        self._new_keys: dict[str, bytes] = {}
        self._erased: list[str] = []
        self._forgotten: list[str] = []

    @property
    def now(self) -> datetime:
        """The one time of this unit, UTC."""
        return self.circumstances.now

    @property
    def actor(self) -> str:
        """Who acts: the subject of the token, or the service itself for what it consumes and for its clocks."""
        return self.circumstances.actor

    @property
    def caller(self) -> Principal | None:
        """Who asks; None where the service acts on its own account."""
        return self.circumstances.caller

    @property
    def cause(self) -> str | None:
        """The id of the event being consumed."""
        return self.origin.id if self.origin is not None else None

    @property
    def consumed(self) -> Envelope | None:
        """The event being consumed, with everything said about it."""
        if self.origin is not None and not isinstance(self.origin, Envelope):
            self.origin = self.origin.envelope
        return self.origin

    @consumed.setter
    def consumed(self, envelope: Envelope | None) -> None:
        self.origin = envelope

    @property
    def events(self) -> list[Event]:
        """What was emitted so far."""
        return [told.event for told in self.told]

    def new_id(self) -> str:
        return new_id()

    def emit(self, event: Event, *, coarse: bool = False, traced: bool = True) -> str:
        """Tell the world, and return the id the event will carry.

        Its aggregate must be written in the same unit, which is what orders its events.

        `coarse`: no time finer than the day (UTC) is kept of the event. Its time is midnight, its id and correlation
        are random (UUIDv4), its `pos` is anywhere in the following day. `traced=False`: no trace context either, so
        that nothing leads to the request it came from. What stays is the order in which events reach the log.
        """
        id_ = str(uuid_utils.uuid4()) if coarse else new_id()
        context: tuple[str | None, str | None] = None, None
        if traced:
            with telemetry.create_span(event.topic):
                context = telemetry.inject()
        self.told.append(Told(event, id_, context, self.origin, coarse))
        return id_

    def erase(self, subject: str) -> None:
        """Destroy the subject's key in this unit's transaction: whatever is sealed under it can never be read again."""
        self._erased.append(subject)

    def forget(self, subject: str) -> None:
        """The subject was erased elsewhere: its key leaves this process's cache with the commit, and not a minute later."""
        self._forgotten.append(subject)

    def blind(self, text: str) -> str:
        """A keyed hash for finding personal data without keeping it in clear."""
        return self.keyring.blind(text)

    async def reveal(self, sealed: Sealed, path: str) -> str:
        """The clear text of a sealed field of the event being consumed, or "erased"."""
        if self.origin is None:
            raise RuntimeError("reveal reads the event being consumed, and there is none")
        await self.learn_keys([sealed.subject])
        return self.opened(sealed.subject, sealed.token, self.origin.id, path)

    async def count_parked(self, topic: str, data: Mapping[str, Any]) -> int:
        """How many letters of a topic, dead or parked, hold these values in their data."""
        return await self.documents.count(
            "dead_letters",
            {"topic": topic, **{f"envelope.data.{name}": value for name, value in data.items()}},
        )

    # What the chassis needs of it ------------------------------------------------------------------------------------

    def check_expected(self, id_: str, version: int) -> None:
        wanted = self.circumstances.expected.get(id_)
        if wanted is not None and wanted != version:
            raise PreconditionFailed(f"the version is {version}, not {wanted}: read it again before changing it")

    async def learn_keys(self, subjects: Sequence[str]) -> None:
        missing = [s for s in dict.fromkeys(subjects) if s not in self.known_keys and s not in self._lost]
        if missing:
            for subject, key in (await self.keyring.keys(missing)).items():
                if key is None:
                    self._lost.add(subject)
                else:
                    self.known_keys[subject] = key

    def opened(self, subject: str, token: str, owner: str, path: str) -> str:
        key = self.known_keys.get(subject)
        if key is None or token == ERASED:
            return ERASED
        try:
            return open_sealed(key, token, subject=subject, owner=owner, path=path)
        except SealBroken:
            # A key that is not the one it was sealed with is a key that is gone.
            return ERASED

    async def write_set(self) -> WriteSet:
        """Everything this unit changes. Raises EventTooLarge, SubjectErased; RuntimeError for an event without home."""
        keys = await self._needed_keys()
        result = WriteSet(generation=self.documents.generation)
        positions: dict[str, int] = {}
        homes = {id_ for repo in self.repositories.values() for id_ in repo.ids()}
        now_us = int(self.now.timestamp() * 1_000_000)
        for told in self.told:
            aggregate = told.event.aggregate_id()
            if aggregate not in homes:
                raise RuntimeError(f"{told.event.type} was emitted, but its aggregate was not written")
            earliest = self._sometime_tomorrow() if told.coarse else now_us
            position = max(earliest, positions.get(aggregate, self.positions.get(aggregate, 0)) + 1)
            positions[aggregate] = position
            result.journal.append(self._entry(told, position))
        for repo in self.repositories.values():
            result.writes.extend(repo.writes(positions))
        result.writes.extend(keys)
        result.writes.extend(self.extra)
        return result

    def committed(self) -> None:
        """Go on after the commit with what is stored now."""
        for subject, key in self._new_keys.items():
            self.keyring.remember(subject, key)
        for subject in (*self._erased, *self._forgotten):
            self.keyring.forget(subject)
        for repo in self.repositories.values():
            repo.advance()
        self.told.clear()
        self.extra.clear()
        self._new_keys.clear()
        self._erased.clear()
        self._forgotten.clear()

    def follow(self, before: Self) -> None:
        """Go on with what a unit that was committed has in memory: called on the unit of a consumer's next batch.

        Takes nothing unless a service says what. It may take what is written under its version in every unit that relies
        on it: should another have changed it, the unit meets a Conflict, and is done again without the one before.
        """

    def mark(self) -> tuple[Any, ...]:
        """A point to return to when one of several commands is refused (see `back_to`)."""
        return len(self.told), {name: repo.mark() for name, repo in self.repositories.items()}

    def back_to(self, mark: tuple[Any, ...]) -> None:
        """Forget what was added since `mark`; a refused command must not have changed an object that was there."""
        told, repositories = mark
        del self.told[told:]
        for name, repo in self.repositories.items():
            repo.back_to(repositories.get(name, ({}, {}, {})))

    def _today(self) -> datetime:
        return self.now.replace(hour=0, minute=0, second=0, microsecond=0)

    def _sometime_tomorrow(self) -> int:
        """A `pos` that tells the day only. Not in the past, or what was just written would look long unsent."""
        tomorrow = self._today() + timedelta(days=1)
        return int(tomorrow.timestamp()) * 1_000_000 + secrets.randbelow(_DAY_US)

    def _correlation(self, told: Told) -> str:
        if told.coarse:
            return str(uuid_utils.uuid4())
        return told.cause.correlationid if told.cause is not None else self.circumstances.correlation

    def _entry(self, told: Told, position: int) -> Document:
        event = told.event
        sealed = {}
        for path, text in event.sealed_fields():
            if text.clear is not None:
                key = self.known_keys[text.subject]
                token = seal(key, text.clear, subject=text.subject, owner=told.id, path=path)
                sealed[path] = Sealed(subject=text.subject, token=token)
        envelope = Envelope.of(
            event.with_sealed(sealed) if sealed else event,
            id=told.id,
            source=self.circumstances.source,
            time=self._today() if told.coarse else self.now,
            correlationid=self._correlation(told),
            causationid=told.cause.id if told.cause is not None else None,
            traceparent=told.context[0],
            tracestate=told.context[1],
        )
        return journal.entry(envelope, event.topic, position)

    async def _needed_keys(self) -> list[Write]:
        subjects = {s for repo in self.repositories.values() for s in repo.subjects()}
        subjects |= {f.subject for told in self.told for _, f in told.event.sealed_fields() if f.clear is not None}
        writes = []
        for subject, (key, document) in (
            await self.keyring.fresh_all(sorted(subjects - self.known_keys.keys()))
        ).items():
            self.known_keys[subject] = key
            if document is not None:
                self._new_keys[subject] = key
                writes.append(Write("keys", subject, document, ABSENT, self.keyring.database))
        writes.extend(
            Write("keys", subject, self.keyring.tombstone(subject), ANY, self.keyring.database)
            for subject in self._erased
        )
        return writes
