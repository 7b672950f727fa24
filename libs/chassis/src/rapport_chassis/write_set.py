"""What a use case hands back: documents to write, each with the version it expects, and events to tell the world."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rapport_chassis.generation import Generation

ABSENT = 0
"""The version a document is expected to have that must not exist yet."""

ANY = -1
"""No expectation: the document is written whatever is there."""


@dataclass(frozen=True, slots=True)
class Write:
    """One document to write (or to remove, where `document` is None), conditional on the version it was read with."""

    collection: str
    id: str
    document: dict[str, Any] | None
    expected: int = ABSENT
    database: str | None = None
    """None is the service's own; the keyring has one of its own."""


@dataclass(slots=True)
class WriteSet:
    """All that one use case changes. It takes effect whole or not at all."""

    writes: list[Write] = field(default_factory=list)
    journal: list[dict[str, Any]] = field(default_factory=list)
    """Journal entries of the events (see `journal.entry`)."""
    generation: Generation | None = None
    """Whose collections the writes mean (see `generation`); None: the names are meant as they are."""

    def place(self, write: Write) -> str:
        """The name of the collection that a write goes to."""
        if self.generation is None or write.database is not None:
            return write.collection
        return self.generation.name(write.collection)

    def __bool__(self) -> bool:
        return bool(self.writes or self.journal)

    def __len__(self) -> int:
        return len(self.writes) + len(self.journal)
