"""A unit of work over memory, for tests of use cases: the same class, the same rules, no server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rapport_events.envelope import Envelope

from rapport_chassis.documents import MemoryDocuments
from rapport_chassis.errors import Conflict
from rapport_chassis.keyring import MemoryKeyring
from rapport_chassis.unit_of_work import Circumstances, UnitOfWork
from rapport_chassis.write_set import ABSENT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from rapport_events.event import Event

    from rapport_chassis.access import Principal
    from rapport_chassis.write_set import WriteSet

U = TypeVar("U", bound=UnitOfWork)


class Memory(Generic[U]):
    """A service's store in memory: `memory = Memory(Registry)`, then `await memory.run(use_case, command)`."""

    def __init__(self, kind: type[U], *, now: datetime | None = None) -> None:
        self.kind = kind
        self.documents = MemoryDocuments()
        self.keyring = MemoryKeyring()
        self.now = now or datetime(2026, 1, 5, 12, tzinfo=UTC)
        self.events: list[Event] = []
        """Everything that was emitted and committed, in order."""
        self.journal: list[dict[str, Any]] = []

    def unit(
        self,
        *,
        actor: str = "tester",
        caller: Principal | None = None,
        expected: Mapping[str, int] | None = None,
    ) -> U:
        """A fresh unit of work over what was committed so far."""
        circumstances = Circumstances(
            source="urn:rapport:test",
            actor=caller.subject if caller else actor,
            caller=caller,
            now=self.now,
            expected=expected or {},
        )
        return self.kind(self.documents, self.keyring, circumstances)

    async def run(
        self,
        use_case: Callable[[Any, Any], Awaitable[Any]],
        command: Any,
        *,
        actor: str = "tester",
        caller: Principal | None = None,
        expected: Mapping[str, int] | None = None,
    ) -> Any:
        """Run a use case and commit. Raises what it raises, and Conflict."""
        await self.keyring.open()
        unit = self.unit(actor=actor, caller=caller, expected=expected)
        result = await use_case(command, unit)
        await self.commit(unit)
        return result

    async def consume(
        self,
        event: Event,
        use_case: Callable[[Any, Any], Awaitable[Any]],
        after: Callable[[Any], Awaitable[None]] | None = None,
    ) -> None:
        """Apply an event as the consumer would."""
        await self.keyring.open()
        unit = self.unit(actor="consumer")
        unit.consumed = Envelope.of(
            event, id=unit.new_id(), source="urn:rapport:test", time=self.now, correlationid="test"
        )
        await use_case(event, unit)
        unit.consumed = None
        if after is not None:
            await after(unit)
        await self.commit(unit)

    async def commit(self, unit: U) -> None:
        """Apply a unit's write-set whole, or raise Conflict and apply nothing."""
        events = list(unit.events)
        write_set = await unit.write_set()
        self.apply(write_set)
        unit.committed()
        self.events.extend(events)
        self.journal.extend(write_set.journal)

    def apply(self, write_set: WriteSet) -> None:
        for write in write_set.writes:
            stored = self._collection(write.database, write.collection).get(write.id)
            if write.expected == ABSENT and stored is not None:
                raise Conflict("it exists already")
            if write.expected > ABSENT and (stored is None or stored["version"] != write.expected):
                raise Conflict("what was read has been changed by another in the meantime")
        for write in write_set.writes:
            collection = self._collection(write.database, write.collection)
            if write.document is None:
                collection.pop(write.id, None)
            else:
                collection[write.id] = write.document

    def _collection(self, database: str | None, name: str) -> dict[str, dict[str, Any]]:
        if database == self.keyring.database:
            return self.keyring.documents
        return self.documents.collections.setdefault(name, {})
