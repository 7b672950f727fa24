"""What one can do here, one file each; and what a use case may ask of its unit of work."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Strict, StringConstraints
from rapport_events.event import Event

from feedback.domain.exercise import Exercise
from feedback.domain.instrument import Edition, Instrument
from feedback.domain.respondent import Respondent
from feedback.domain.response import Response
from feedback.domain.wave import Wave

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
    def instruments(self) -> Kept[Instrument]: ...

    @property
    def waves(self) -> Kept[Wave]: ...

    @property
    def responses(self) -> Kept[Response]: ...

    @property
    def respondents(self) -> Kept[Respondent]: ...

    @property
    def exercises(self) -> Kept[Exercise]: ...

    async def edition(self, instrument_id: str, number: int, /) -> Edition: ...

    def new_id(self) -> str: ...

    def emit(self, event: Event, /, *, coarse: bool = False, traced: bool = True) -> str: ...

    def forget(self, subject: str, /) -> None: ...

    def blind(self, text: str, /) -> str: ...


class Command(BaseModel):
    """Input of a use case: nothing converted, nothing unknown, and no value quoted in an error."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _day(value: object) -> object:
    """JSON has no dates: exactly YYYY-MM-DD is one, and nothing else is."""
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError:
        return value


Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*$", max_length=64)]
Codes = Annotated[tuple[Code, ...], Strict(strict=False)]
Day = Annotated[date, BeforeValidator(_day)]
Reference = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]+$", max_length=200)]
"""The collector's own id of a response: visible ASCII."""
