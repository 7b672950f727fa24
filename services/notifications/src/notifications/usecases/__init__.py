"""What this service can be asked to do, one file each; and what they need of a unit of work."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from rapport_events.envelope import Envelope
from rapport_events.event import Event, Sealed

from notifications.domain.consent import Consents
from notifications.domain.exercise import Exercise
from notifications.domain.message import Message
from notifications.domain.subscription import Subscription

T = TypeVar("T")


class Kept(Protocol[T]):
    """Objects of one kind, as the store keeps them."""

    async def get(self, id_: str, /) -> T | None: ...

    async def find(
        self,
        where: Mapping[str, Any],
        *,
        sort: str = "id",
        descending: bool = False,
        after: Sequence[Any] | None = None,
        limit: int | None = None,
    ) -> list[T]: ...

    def add(self, found: T, /) -> None: ...

    def save(self, found: T, /) -> None: ...


class Unit(Protocol):
    """One use case's unit of work."""

    @property
    def now(self) -> datetime: ...

    @property
    def consumed(self) -> Envelope | None: ...

    @property
    def subscriptions(self) -> Kept[Subscription]: ...

    @property
    def messages(self) -> Kept[Message]: ...

    @property
    def consents(self) -> Kept[Consents]: ...

    @property
    def exercises(self) -> Kept[Exercise]: ...

    def new_id(self) -> str: ...

    def forget(self, subject: str) -> None: ...

    def emit(self, event: Event, /) -> str: ...

    async def reveal(self, sealed: Sealed, path: str) -> str: ...
