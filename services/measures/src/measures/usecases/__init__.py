"""What one can do here, one file each; and what a use case may ask of its unit of work."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

import rapport_ports as ports
from rapport_ports import Kept

from measures.domain.answers import Answers, Chunk, Counting, Intake, Row
from measures.domain.basis import Basis
from measures.domain.fieldwork import Fieldwork, PublishedInstrument
from measures.domain.measure import DefinitionVersion, Figure, Measure
from measures.domain.population import Populations, Stakeholder
from measures.domain.settings_history import SettingsHistory
from measures.domain.standing import Waiting


class Unit(ports.Unit, Protocol):
    """The unit of work of this service.

    `countings` and what follows it say what this unit changed, so that judging looks at nothing else: responses counted, by (wave id,
    synthetic); waves opened or closed, by id; populations, "real" or "synthetic". `bases` is what earlier units judged by,
    by (instrument, synthetic); a unit need not have any.
    """

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

    @property
    def bases(self) -> dict[tuple[str, bool], Basis]: ...

    def rows(self, intake: str, below: int, /) -> AsyncIterator[Sequence[Row]]:
        """The rows of an intake in the order they were counted, up to the number `below`, some at a time."""
        ...

    async def waiting(self) -> list[Waiting]:
        """The events that were heard and are not applied, in their order."""
        ...

    async def numbers(self, topic: str, /) -> Mapping[int, int]:
        """The number of the last event applied, per partition of a topic."""
        ...
