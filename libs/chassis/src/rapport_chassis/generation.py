"""Generations of a projection: the same collections, made anew under other names while the old ones answer.

The first generation stands under the names themselves, the one numbered n under `name@n`. A unit of work is bound to
one generation when it is made: it reads and writes that one from beginning to end. Which one is in force says one
document; `rebuild` makes the next one and moves that document.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rapport_chassis.write_set import ANY, Write

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from typing import Any

    from rapport_chassis.write_set import WriteSet

GENERATIONS = "generations"
"""Documents: `current` (its version is the number of the generation in force), `touched`, `rebuild` (the last one)."""
CURRENT, TOUCHED, REBUILD = "current", "touched", "rebuild"

CURSORS = "cursors"
BEGINNINGS = "beginnings"
"""Of each partition that was ever begun, in the transaction of its first cursor: where that is gone, nothing begins anew."""
LETTERS = "dead_letters"

_NUMBERED = re.compile(r"(.+)@([1-9][0-9]*)")


@dataclass(frozen=True, slots=True)
class Projection:
    """What of a service's collections can be made anew from the events it hears.

    `compared`: collection -> fields that may differ between two generations that say the same, such as times of
    counting. `finish(rebuilt, old)` runs once all events are applied, and keeps what no event tells; it writes to the
    rebuilt unit only. `announce(rebuilt, old)` emits what the world was told differently; it runs with the swap.
    """

    collections: frozenset[str]
    compared: Mapping[str, frozenset[str]]
    finish: Callable[[Any, Any], Awaitable[None]]
    announce: Callable[[Any, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Generation:
    """`collections` are those that have generations; what is not among them has one name for ever."""

    number: int = 1
    collections: frozenset[str] = frozenset()

    @classmethod
    def first(cls, projection: Projection | None) -> Generation:
        """How far it was made, and what could not be applied, belong to each generation."""
        return cls(1, projection.collections | {CURSORS, BEGINNINGS, LETTERS}) if projection else cls()

    def name(self, collection: str) -> str:
        """Where a collection of this generation stands."""
        return collection if self.number == 1 or collection not in self.collections else f"{collection}@{self.number}"

    def fence(self, write_set: WriteSet) -> list[Write]:
        """What a write-set must hold beside: it may not land in a generation that is no longer in force.

        Consumers are fenced by their cursors, which the swap moves. Everybody else shows that the generation still is
        the current one, and leaves a mark that makes a swap at the same moment lose, or win, whole.
        """
        written = {write.collection for write in write_set.writes if write.database is None}
        if CURSORS in written or not written & self.collections:
            return []
        return [
            Write(GENERATIONS, CURRENT, {"_id": CURRENT, "version": self.number}, self.number),
            Write(GENERATIONS, TOUCHED, {"_id": TOUCHED, "version": 1 + secrets.randbits(48)}, ANY),
        ]

    def number_of(self, name: str) -> int | None:
        """The generation that a collection of the database belongs to, None where it has none."""
        numbered = _NUMBERED.fullmatch(name)
        if numbered is not None and numbered[1] in self.collections:
            return int(numbered[2])
        return 1 if name in self.collections else None


def others(names: Iterable[str], generation: Generation) -> dict[int, list[str]]:
    """The collections of all other generations, by their numbers."""
    found: dict[int, list[str]] = {}
    for name in names:
        number = generation.number_of(name)
        if number is not None and number != generation.number:
            found.setdefault(number, []).append(name)
    return found
