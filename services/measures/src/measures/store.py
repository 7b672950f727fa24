"""What is kept, and how it is found."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from rapport_chassis.consumer import CURSORS
from rapport_chassis.documents import Index
from rapport_chassis.repository import repository
from rapport_chassis.unit_of_work import UnitOfWork

from measures.domain.answers import Answers, Chunk, Counting, Intake, Row
from measures.domain.fieldwork import Fieldwork, PublishedInstrument
from measures.domain.measure import DefinitionVersion, Figure, Measure
from measures.domain.population import Populations, Stakeholder
from measures.domain.settings_history import SettingsHistory

CHUNKS_AT_ONCE = 20


class Measures(UnitOfWork):
    """The unit of work of this service."""

    settings = repository("settings", SettingsHistory)
    measures = repository("measures", Measure)
    definitions = repository("definitions", DefinitionVersion)
    instruments = repository("instruments", PublishedInstrument)
    waves = repository("waves", Fieldwork)
    intakes = repository("intakes", Intake)
    answers = repository("answers", Answers)
    evidence = repository("evidence", Chunk)
    stakeholders = repository("stakeholders", Stakeholder)
    populations = repository("populations", Populations)
    figures = repository("figures", Figure)

    def __init__(self, *surroundings: Any) -> None:
        super().__init__(*surroundings)
        self.countings: dict[tuple[str, bool], Counting] = {}
        self.noted_waves: dict[str, Fieldwork] = {}
        self.noted_populations: set[str] = set()

    async def rows(self, intake: str, below: int, /) -> AsyncIterator[Sequence[Row]]:
        """Past the unit's own objects: a wave's evidence may be larger than what one wants in memory at once."""
        after: tuple[str, ...] | None = None
        while True:
            chunks = await self.documents.find("evidence", {"intake": intake}, after=after, limit=CHUNKS_AT_ONCE)
            for chunk in chunks:
                if chunk["first"] >= below:
                    return
                yield [
                    Row(event, answers, weight, tuple(groups), region)
                    for event, answers, weight, groups, region in chunk["rows"][: below - chunk["first"]]
                ]
            if len(chunks) < CHUNKS_AT_ONCE:
                return
            after = (chunks[-1]["_id"],)

    async def numbers(self, topic: str, /) -> Mapping[int, int]:
        """What the consumer's cursors say."""
        found = await self.documents.find(CURSORS, {"topic": topic})
        return {cursor["partition"]: cursor["number"] for cursor in found}


INDEXES = (
    Index("measures", ("position",)),
    Index("waves", ("instrument", "synthetic", "ordinal")),
    Index("answers", ("wave_id", "synthetic", "question")),
    Index("evidence", ("intake", "id")),
    Index("figures", ("wave_id", "measure")),
    Index("figures", ("measure", "synthetic", "subject_key", "ordinal")),
    Index("figures", ("changed_at",)),
)
