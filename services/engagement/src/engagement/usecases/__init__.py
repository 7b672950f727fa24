"""What one can do here, one file each; and what a use case may ask of its unit of work."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Strict, StringConstraints
from rapport_events.event import Event

from engagement.domain.contact import Contact
from engagement.domain.delivery_plan import Activity, DeliveryPlan
from engagement.domain.exercise import Exercise
from engagement.domain.receipt import Receipt
from engagement.domain.stakeholder import Stakeholder

T = TypeVar("T")


class Kept(Protocol[T]):
    """A repository, as far as use cases need it (see `rapport_chassis.unit_of_work.Repository`)."""

    async def get(self, id_: str, /) -> T | None: ...

    async def find(
        self,
        where: Mapping[str, Any],
        /,
        *,
        sort: str = "id",
        descending: bool = False,
        after: Sequence[Any] | None = None,
        limit: int | None = None,
    ) -> list[T]: ...

    async def count(self, where: Mapping[str, Any], /) -> int: ...

    def add(self, found: T, /) -> None: ...

    def save(self, found: T, /) -> None: ...


class Unit(Protocol):
    """The unit of work of this service."""

    @property
    def now(self) -> datetime: ...

    @property
    def actor(self) -> str: ...

    @property
    def plans(self) -> Kept[DeliveryPlan]: ...

    @property
    def activities(self) -> Kept[Activity]: ...

    @property
    def contacts(self) -> Kept[Contact]: ...

    @property
    def exercises(self) -> Kept[Exercise]: ...

    @property
    def stakeholders(self) -> Kept[Stakeholder]: ...

    @property
    def receipts(self) -> Kept[Receipt]: ...

    def new_id(self) -> str: ...

    def forget(self, subject: str) -> None: ...

    def emit(self, event: Event, /) -> str: ...

    def erase(self, subject: str, /) -> None: ...


class Command(BaseModel):
    """Input of a use case: nothing converted, nothing unknown, and no value quoted in an error."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


def _each_once(ids: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(ids)) < len(ids):
        raise ValueError("names somebody twice")
    return ids


def _day(given: object) -> object:
    if not isinstance(given, str):
        return given
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", given):
        raise ValueError("is no date such as 2019-06-03")
    return date.fromisoformat(given)


FROM_JSON = Strict(strict=False)
"""For what JSON has no type of its own: a code of an enumeration, and a fixed list. Their parts stay strict."""

Day = Annotated[date, BeforeValidator(_day)]
"""A full-date of RFC 3339."""

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
"""A code of reference data that another service owns."""

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]+$", max_length=64)]

Ids = Annotated[tuple[Id, ...], FROM_JSON, AfterValidator(_each_once)]

MOST_PARTICIPANTS = 1_000
"""More would not fit an event comfortably; larger audiences are a survey's or a mailing's business."""
