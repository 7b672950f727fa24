"""What one process of a service shares: the store, the keyring, the committer, the gate."""

from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import structlog
from pymongo import ASCENDING, DESCENDING, AsyncMongoClient, IndexModel
from pymongo.errors import CollectionInvalid, OperationFailure, PyMongoError
from pymongo.write_concern import WriteConcern
from rapport_ports import OutOfReach

from rapport_chassis import dead_letters, journal, metrics
from rapport_chassis.allowances import ALLOWANCES, Allowances
from rapport_chassis.committer import Committer, Limits
from rapport_chassis.dead_letters import DeadLetters
from rapport_chassis.documents import Index, MongoDocuments
from rapport_chassis.errors import Conflict, Unavailable
from rapport_chassis.generation import BEGINNINGS, CURRENT, CURSORS, GENERATIONS, TOUCHED, Generation
from rapport_chassis.journal import Journal
from rapport_chassis.keyring import UNAUTHORIZED, Keyring
from rapport_chassis.repository import repository
from rapport_chassis.unit_of_work import Circumstances, UnitOfWork

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from rapport_chassis.generation import Projection
    from rapport_chassis.settings import ServiceSettings
    from rapport_chassis.write_set import WriteSet

log = structlog.get_logger(__name__)

IDEMPOTENCY = "idempotency"
"""The collection of answers kept for an Idempotency-Key."""

ATTEMPTS = 8
"""How often a use case is run again after it lost a race with another write."""

BACKLOG_CAP = 100_000

CHASSIS_INDEXES = (
    *journal.INDEXES,
    *dead_letters.INDEXES,
    Index(IDEMPOTENCY, ("expires_at",), expire_after=0),
    Index(ALLOWANCES, ("expires_at",), expire_after=60),
)


class SettingsError(Exception):
    """A setting is missing or wrong; the text says which and what to do."""


@dataclass(slots=True)
class Gate:
    """Refuses writes while events pile up: the journal must not grow without end while Kafka is away."""

    limit: int
    age_limit: float
    unsent: int = 0
    age: float = 0.0
    _told: int = 0
    _oldest: int = 0
    _since: float = 0.0

    def admit(self) -> None:
        if self.unsent >= self.limit or self.age >= self.age_limit:
            raise Unavailable(f"{self.unsent} events wait to be sent; writes are taken again once they are")

    def told(self, events: int) -> None:
        """Events that this process committed: they count at once, not only with the next look."""
        self.unsent += events
        self._told += events

    async def look(self, entries: Journal) -> None:
        before = self._told
        counted, oldest = await entries.backlog(min(self.limit, BACKLOG_CAP))
        self.unsent = counted + self._told - before
        if oldest is None or oldest > self._oldest:
            self._since = time.monotonic()  # the one that was the oldest has been sent
        self._oldest = oldest or 0
        # The places of coarse events lie ahead of the clock: how long nothing has moved tells their age.
        stuck = time.monotonic() - self._since
        self.age = max(stuck, time.time() - oldest / 1_000_000) if oldest else 0.0
        metrics.UNSENT.set(self.unsent)
        metrics.UNSENT_AGE.set(self.age)


@dataclass(slots=True)
class Runtime:
    """Made by `open_runtime`; closed with `close`."""

    name: str
    settings: ServiceSettings
    kind: type[UnitOfWork]
    client: AsyncMongoClient[dict[str, Any]]
    documents: MongoDocuments
    """Of the generation in force; another object once that is another one."""
    keyring: Keyring
    committer: Committer
    journal: Journal
    gate: Gate
    allowances: Allowances
    expected_errors: tuple[type[Exception], ...] = ()
    store_seen: float = field(default_factory=time.monotonic)
    turned: list[Callable[[], None]] = field(default_factory=list)
    """Called when another generation of the projection is in force."""

    @property
    def database(self) -> Any:
        return self.client[self.settings.database]

    @property
    def letters(self) -> DeadLetters:
        return DeadLetters(self.database, self.documents.generation)

    def unit(self, circumstances: Circumstances) -> UnitOfWork:
        return self.kind(self.documents, self.keyring, circumstances)

    async def commit(self, write_set: WriteSet) -> None:
        """Raises Conflict, also where the generation it means is no longer in force: `renew`, and do it again."""
        if write_set.generation is not None:
            write_set.writes.extend(write_set.generation.fence(write_set))
        await self.committer.commit(write_set)
        self.gate.told(len(write_set.journal))

    async def renew(self) -> MongoDocuments:
        """The documents of the generation that is in force now."""
        held = self.documents.generation
        if held.collections:
            current = await self.documents.get(GENERATIONS, CURRENT)
            if current is not None and current["version"] != held.number:
                self.documents = self.documents.of(replace(held, number=current["version"]))
                for told in self.turned:
                    told()
        return self.documents

    def knows(self, error: Exception) -> bool:
        """Whether an error is one that a use case declares, and so an answer rather than a fault."""
        return isinstance(error, (OutOfReach, *self.expected_errors))

    async def perform(self, use_case: Callable[[Any], Awaitable[Any]]) -> Any:
        """Run a use case on the service's own account and commit; again where it lost a race."""
        for attempt in range(ATTEMPTS):
            unit = self.unit(Circumstances(source=f"urn:rapport:{self.name}", actor=self.name))
            result = await use_case(unit)
            try:
                await self.commit(await unit.write_set())
            except Conflict:
                if attempt == ATTEMPTS - 1:
                    raise
                await self.renew()
                await asyncio.sleep(0.002 * 2**attempt)
                continue
            unit.committed()
            return result
        raise AssertionError("unreachable")

    async def watch(self) -> None:
        """Look at the store and the journal once a second, until cancelled."""
        while True:
            try:
                await self.renew()
                await self.gate.look(self.journal)
                counts = await self.letters.counts()
                for state, count in counts.items():
                    metrics.DEAD_LETTERS.labels(state).set(count)
                self.store_seen = time.monotonic()
            except PyMongoError as error:
                log.warning("the store does not answer", error=type(error).__name__)
            await asyncio.sleep(1)

    def ready(self) -> str | None:
        """None, or why this process cannot do its work now."""
        away = time.monotonic() - self.store_seen
        return f"MongoDB has not answered for {away:.0f} s" if away > 5 else None  # noqa: PLR2004 - five looks missed

    async def close(self) -> None:
        await self.committer.close()
        await self.keyring.close()
        await self.client.close()


async def open_runtime(
    settings: ServiceSettings,
    kind: type[UnitOfWork],
    indexes: Iterable[Index],
    expected_errors: tuple[type[Exception], ...] = (),
    projection: Projection | None = None,
) -> Runtime:
    """Connect, prepare collections and indexes, open the keyring. Raises SettingsError, PyMongoError."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        settings.mongo_uri,
        tz_aware=True,
        serverSelectionTimeoutMS=8_000,
        connectTimeoutMS=5_000,
        socketTimeoutMS=20_000,
        maxPoolSize=32,
        appname=settings.service,
    )
    documents = MongoDocuments(client[settings.database], await in_force(client[settings.database], projection))
    keyring = Keyring(
        client,
        settings.keyring,
        kms_providers=kms_providers(settings),
        master_key_spec=settings.keyring_kms_master_key or None,
    )
    await prepare(client, settings, kind, (*CHASSIS_INDEXES, *indexes), documents.generation)
    await keyring.open()
    return Runtime(
        name=settings.service,
        settings=settings,
        kind=kind,
        client=client,
        documents=documents,
        keyring=keyring,
        committer=Committer(
            client,
            settings.database,
            Limits(settings.commit_documents, settings.commit_queue, settings.commit_patience_seconds),
        ),
        journal=Journal(client[settings.database], settings.journal_keep),
        gate=Gate(settings.unsent_limit, settings.unsent_age_limit_seconds),
        allowances=_allowances(client[settings.database], keyring, settings),
        expected_errors=expected_errors,
    )


def _allowances(database: Any, keyring: Keyring, settings: ServiceSettings) -> Allowances:
    """Raises SettingsError."""

    async def blind(actor: str) -> str:
        await keyring.blind_key()  # of a service that reads the keyring and was there before its maker
        return keyring.blind(actor)

    soon = WriteConcern(1)  # a limit that a crash forgets is none that anybody misses
    try:
        return Allowances(database[ALLOWANCES].with_options(write_concern=soon), blind, settings.limits)
    except ValueError as error:
        raise SettingsError(f"RAPPORT_LIMITS: {error}") from None


def kms_providers(settings: ServiceSettings) -> dict[str, Any]:
    """The provider of the keyring's master key. Raises SettingsError where there is none."""
    if settings.keyring_kms_providers:
        return dict(settings.keyring_kms_providers)
    try:
        key = base64.b64decode(settings.keyring_master_key.get_secret_value(), validate=True)
    except ValueError:
        key = b""
    if len(key) != 96:  # noqa: PLR2004 - what libmongocrypt's local provider takes
        raise SettingsError(
            "RAPPORT_KEYRING_MASTER_KEY must be the base64 of 96 random bytes "
            "(or name a key management service in RAPPORT_KEYRING_KMS_PROVIDERS)",
        )
    return {"local": {"key": key}}


async def in_force(database: Any, projection: Projection | None) -> Generation:
    """The generation of a service's projection; the documents that say so are made where they are missing."""
    first = Generation.first(projection)
    if projection is None:
        return first
    documents = database[GENERATIONS].with_options(write_concern=WriteConcern("majority", j=True))
    for id_ in (CURRENT, TOUCHED):
        await documents.update_one({"_id": id_}, {"$setOnInsert": {"version": 1}}, upsert=True)
    current = await database[GENERATIONS].find_one({"_id": CURRENT})
    return replace(first, number=current["version"])


async def prepare(
    client: AsyncMongoClient[dict[str, Any]],
    settings: ServiceSettings,
    kind: type[UnitOfWork],
    indexes: Iterable[Index],
    generation: Generation,
) -> None:
    """Make collections and indexes that are missing: a transaction should find what it writes to."""
    database = client[settings.database]
    declared = {d.collection for cls in kind.__mro__ for d in vars(cls).values() if isinstance(d, repository)}
    chassis = {
        journal.JOURNAL,
        journal.BATCHES,
        CURSORS,
        BEGINNINGS,
        IDEMPOTENCY,
        ALLOWANCES,
        *dead_letters.COLLECTIONS,
    }
    await _make_missing(database, {generation.name(each) for each in declared | chassis})
    try:
        await _make_missing(client[settings.keyring], {"keys"})
    except OperationFailure as error:
        if error.code != UNAUTHORIZED:  # a reader of the keyring, ahead of those who may make it
            raise
    by_collection: dict[str, list[IndexModel]] = {}
    for index in indexes:
        by_collection.setdefault(generation.name(index.collection), []).append(_model(index))
    for collection, models in by_collection.items():
        await database[collection].create_indexes(models)


async def _make_missing(database: Any, names: set[str]) -> None:
    for name in sorted(names - set(await database.list_collection_names())):
        try:
            await database.create_collection(name)
        except CollectionInvalid:
            continue  # another process of this service was faster
        except PyMongoError as error:
            if getattr(error, "code", None) != 48:  # noqa: PLR2004 - NamespaceExists
                raise


def _model(index: Index) -> IndexModel:
    keys = [(f.lstrip("-"), DESCENDING if f.startswith("-") else ASCENDING) for f in index.fields]
    options: dict[str, Any] = {"unique": index.unique}
    if index.partial is not None:
        options["partialFilterExpression"] = dict(index.partial)
    if index.expire_after is not None:
        options["expireAfterSeconds"] = index.expire_after
    return IndexModel([("_id" if name == "id" else name, direction) for name, direction in keys], **options)
