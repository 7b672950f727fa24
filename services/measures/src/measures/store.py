"""What is kept, and how it is found."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from rapport_chassis.documents import Index
from rapport_chassis.generation import CURSORS, LETTERS, Projection
from rapport_chassis.repository import repository
from rapport_chassis.unit_of_work import UnitOfWork

from measures.domain.answers import Answers, Chunk, Counting, Intake, Row
from measures.domain.fieldwork import Fieldwork, PublishedInstrument
from measures.domain.measure import DefinitionVersion, Figure, Measure
from measures.domain.population import Populations, Stakeholder
from measures.domain.settings_history import SettingsHistory
from measures.domain.standing import Waiting
from measures.usecases.finish_rebuilt import announce_rebuilt, finish_rebuilt

if TYPE_CHECKING:
    from measures.domain.basis import Basis

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
        self.bases: dict[tuple[str, bool], Basis] = {}

    def follow(self, before: Self) -> None:
        """Every unit that counts or judges writes intakes: those of the waves whose figures it may change."""
        self.intakes.follow(before.intakes)
        self.answers.follow(before.answers)
        self.figures.follow(before.figures)
        self.bases = before.bases

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

    async def waiting(self) -> list[Waiting]:
        """What the consumer put aside."""
        return [
            Waiting(
                letter=letter["_id"],
                topic=letter["topic"],
                state=letter["state"],
                reason=letter["reason"],
                behind=letter["behind"],
                data=letter["envelope"]["data"] if letter["envelope"] else None,
            )
            for letter in await self.documents.find(LETTERS, {}, sort="number")
        ]

    async def numbers(self, topic: str, /) -> Mapping[int, int]:
        """What the consumer's cursors say."""
        found = await self.documents.find(CURSORS, {"topic": topic})
        return {cursor["partition"]: cursor["number"] for cursor in found}


PROJECTION = Projection(
    collections=frozenset(
        {"instruments", "waves", "intakes", "answers", "evidence", "stakeholders", "populations", "figures"}
    ),
    # Not compared: when something was counted, and in which order. The evidence is in the order of counting throughout;
    # that it is the evidence of these tallies is what `explain` shows.
    compared={
        "instruments": frozenset({"version"}),
        "waves": frozenset({"version"}),
        "stakeholders": frozenset({"version"}),
        "populations": frozenset({"version"}),
        "intakes": frozenset({"version", "as_of"}),
        "answers": frozenset({"version", "through"}),
        "figures": frozenset({"version", "through", "as_of", "changed_at"}),
    },
    finish=finish_rebuilt,
    announce=announce_rebuilt,
)
"""What events made. Settings and definitions are not: somebody decided them here."""

INDEXES = (
    Index("measures", ("position",)),
    Index("waves", ("instrument", "synthetic", "ordinal")),
    Index("answers", ("wave_id", "synthetic", "question")),
    Index("evidence", ("intake", "id")),
    Index("figures", ("wave_id", "measure")),
    Index("figures", ("measure", "synthetic", "subject_key", "ordinal")),
    Index("figures", ("changed_at",)),
)
