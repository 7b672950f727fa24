"""What one can do here, one file each; and what a use case may ask of its unit of work."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict
from rapport_events.event import Event

from measures.domain.answers import Answers, Chunk, Counting, Intake, Row
from measures.domain.fieldwork import Fieldwork, PublishedInstrument
from measures.domain.measure import DefinitionVersion, Figure, Measure
from measures.domain.population import Populations, Stakeholder
from measures.domain.settings_history import SettingsHistory

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
    """The unit of work of this service.

    The last three say what this unit changed, so that judging looks at nothing else: responses counted, by (wave id,
    synthetic); waves opened or closed, by id; populations, "real" or "synthetic".
    """

    @property
    def now(self) -> datetime: ...

    @property
    def actor(self) -> str: ...

    @property
    def cause(self) -> str | None: ...

    @property
    def settings(self) -> Kept[SettingsHistory]: ...

    @property
    def measures(self) -> Kept[Measure]: ...

    @property
    def definitions(self) -> Kept[DefinitionVersion]: ...

    @property
    def instruments(self) -> Kept[PublishedInstrument]: ...

    @property
    def waves(self) -> Kept[Fieldwork]: ...

    @property
    def intakes(self) -> Kept[Intake]: ...

    @property
    def answers(self) -> Kept[Answers]: ...

    @property
    def evidence(self) -> Kept[Chunk]: ...

    @property
    def stakeholders(self) -> Kept[Stakeholder]: ...

    @property
    def populations(self) -> Kept[Populations]: ...

    @property
    def figures(self) -> Kept[Figure]: ...

    @property
    def countings(self) -> dict[tuple[str, bool], Counting]: ...

    @property
    def noted_waves(self) -> dict[str, Fieldwork]: ...

    @property
    def noted_populations(self) -> set[str]: ...

    def rows(self, intake: str, below: int, /) -> AsyncIterator[Sequence[Row]]:
        """The rows of an intake in the order they were counted, up to the number `below`, some at a time."""
        ...

    async def numbers(self, topic: str, /) -> Mapping[int, int]:
        """The number of the last event applied, per partition of a topic."""
        ...

    async def count_parked(self, topic: str, data: Mapping[str, Any], /) -> int: ...

    def emit(self, event: Event, /) -> str: ...


class Command(BaseModel):
    """Input of a use case: nothing converted, nothing unknown, and no value quoted in an error."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)
