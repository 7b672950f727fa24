"""What one can do here, one file each; and what a use case may ask of its unit of work."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Strict, StringConstraints
from rapport_events.event import Event

from registry.domain.consent import Channel, Proof, Purpose
from registry.domain.stakeholder import Kind, Stakeholder, TakenReference

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

    def remove(self, found: T, /) -> None: ...


class Unit(Protocol):
    """The unit of work of this service."""

    @property
    def now(self) -> datetime: ...

    @property
    def stakeholders(self) -> Kept[Stakeholder]: ...

    @property
    def references(self) -> Kept[TakenReference]: ...

    def new_id(self) -> str: ...

    def emit(self, event: Event, /) -> str: ...

    def erase(self, subject: str, /) -> None: ...

    def blind(self, text: str, /) -> str: ...


class Command(BaseModel):
    """Input of a use case: nothing converted, nothing unknown, and no value quoted in an error.

    JSON knows neither enumerations nor tuples nor times: fields of these say `Strict(strict=False)`.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


def _each_once(codes: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(codes)) < len(codes):
        raise ValueError("names a code twice")
    return codes


def _no_number(value: object) -> object:
    if not isinstance(value, str | datetime):
        raise ValueError("a time as RFC 3339 has it, such as 2019-06-01T09:30:00Z")  # noqa: TRY004 - pydantic wants it
    return value


Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
"""A code of the reference data; whether it exists is for the reference data to say."""
Codes = Annotated[tuple[Code, ...], Strict(strict=False), AfterValidator(_each_once)]
StakeholderKind = Annotated[Kind, Strict(strict=False)]
ConsentPurpose = Annotated[Purpose, Strict(strict=False)]
ConsentChannel = Annotated[Channel, Strict(strict=False)]
ConsentProof = Annotated[Proof, Strict(strict=False)]
Moment = Annotated[AwareDatetime, Strict(strict=False), BeforeValidator(_no_number)]
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]
Email = Annotated[
    str,
    StringConstraints(
        max_length=254, pattern=r"^[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f.]+(\.[^@\s\x00-\x1f\x7f.]+)+$"
    ),
]
Phone = Annotated[str, StringConstraints(pattern=r"^\+?[0-9][0-9 ()-]{3,24}$")]
SourceReference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:-]{0,63}$")]


def day_of(now: datetime) -> date:
    """The day of a moment, UTC."""
    return now.date()
