"""The unit of work as a use case sees it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from rapport_events.event import Event, Sealed

T = TypeVar("T")


class OutOfReach(Exception):
    """What would be written is kept from whoever asks by the service's `rights.py`: 403."""


class Caller(Protocol):
    """Who asks, as the token says."""

    @property
    def subject(self) -> str: ...

    @property
    def roles(self) -> frozenset[str]: ...

    @property
    def region(self) -> str | None:
        """The region the token is bound to; None: to none."""


class Kept(Protocol[T]):
    """The objects of one kind that are kept, one object per id within a unit.

    What the service's `rights.py` keeps from whoever asks is not there for it, and cannot be written by it. `whole`
    looks at all objects all the same, for what is not shown: a number, or whether something is left at all.

    `where` maps a field to a value (an array: contains) or to one of {"in": [...]}, {"gte" | "gt" | "lte" | "lt": v},
    {"prefix": "text"}.
    """

    async def get(self, id_: str, /) -> T | None:
        """The object, with what this unit changed."""

    async def find(
        self,
        where: Mapping[str, Any],
        /,
        *,
        sort: str = "id",
        descending: bool = False,
        after: Sequence[Any] | None = None,
        limit: int | None = None,
        whole: bool = False,
    ) -> list[T]:
        """Stored objects that fit, in the order of (`sort`, id), those behind the place `after`."""
        ...

    async def count(self, where: Mapping[str, Any], /, *, whole: bool = False) -> int:
        """How many stored objects fit."""
        ...

    def add(self, found: T, /) -> None:
        """A new object; that its id is taken shows at the commit. Raises OutOfReach (403)."""

    def save(self, found: T, /) -> None:
        """Write the object, provided that nobody has changed it since it was read. Raises OutOfReach (403)."""

    def remove(self, found: T, /) -> None:
        """Delete the object, provided that nobody has changed it since it was read."""


class Unit(Protocol):
    """One use case's reads and writes. A service's own adds what it keeps: `def waves(self) -> Kept[Wave]`."""

    @property
    def now(self) -> datetime:
        """The one time of this unit, UTC."""
        ...

    @property
    def actor(self) -> str:
        """Who acts: the subject of the token, or the service itself."""
        ...

    @property
    def caller(self) -> Caller | None:
        """Who asks; None where the service acts on its own account: on what it consumes, and for its clocks."""
        ...

    @property
    def cause(self) -> str | None:
        """The id of the event being consumed."""

    def new_id(self) -> str:
        """A UUIDv7."""
        ...

    def emit(self, event: Event, /, *, coarse: bool = False, traced: bool = True) -> str:
        """Tell the world; its aggregate must be written in the same unit. The event's id.

        `coarse` tells the day and nothing finer; without `traced` nothing leads from the event to the request.
        """
        ...

    def erase(self, subject: str, /) -> None:
        """Destroy the subject's key: what is sealed under it can never be read again."""

    def forget(self, subject: str, /) -> None:
        """The subject was erased elsewhere: drop its key from the cache."""

    def blind(self, text: str, /) -> str:
        """A keyed hash, for finding personal data without keeping it in clear."""
        ...

    async def reveal(self, sealed: Sealed, path: str, /) -> str:
        """The clear text of a sealed field of the event being consumed, or "erased"."""
        ...

    async def count_parked(self, topic: str, data: Mapping[str, Any], /) -> int:
        """How many dead or parked letters of a topic hold these values in their data."""
        ...
