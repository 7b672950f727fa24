"""From tallies to judgements: which integers a definition reads in a wave, and what they are held against."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from measures.domain.answers import ALL, Answers, group, region
from measures.domain.cells import Cells, Tally
from measures.domain.definition import Dimension, MeasureDefinition, Rule
from measures.domain.evidence import Evidence, RegionalEvidence, Wave
from measures.domain.fieldwork import Fieldwork, series_at
from measures.domain.floor import judge_regions
from measures.domain.judgement import Judgement, judge
from measures.domain.population import STAKEHOLDER_SURVEY
from measures.domain.settings import Settings

COMPARING = frozenset({Rule.IMPROVE, Rule.UPWARDS})
"""Rules by which an answer in one wave can change what is said of a later one."""


@dataclass(frozen=True, slots=True)
class Material:
    """All that is known of one instrument, real or synthetic: waves by ordinal, answers by (wave id, question)."""

    waves: tuple[Fieldwork, ...]
    answers: Mapping[tuple[str, str], Answers]
    registered: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls, waves: Iterable[Fieldwork], answers: Iterable[Answers], registered: Mapping[str, int] | None = None
    ) -> "Material":
        return cls(
            tuple(sorted(waves, key=lambda wave: (wave.ordinal, wave.id))),
            {(each.wave_id, each.question): each for each in answers},
            registered or {},
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """A judgement with the integers it was made from; `everyone` is what a region was held against."""

    subject_key: str
    judgement: Judgement
    cells: Cells
    everyone: Cells | None
    through: int


def cell_of(definition: MeasureDefinition, subject_key: str = ALL) -> str:
    """The name of the cell a figure is read from."""
    if subject_key != ALL:
        return region(subject_key)
    return ALL if definition.group.dimension in (Dimension.EVERYONE, Dimension.REGION) else group(definition.group.code)


def cells_of(answers: Answers, definition: MeasureDefinition, cell: str) -> Cells:
    return Cells.of(answers.tallies(cell), definition.counts, definition.left_out)


def judge_wave(
    definition: MeasureDefinition, settings: Settings, wave: Fieldwork, material: Material
) -> tuple[Judged, ...]:
    """The judgement of everyone, or one per region. Nothing where nobody has been asked the question yet."""
    answers = material.answers.get((wave.id, definition.question))
    if answers is None:
        return ()
    now = _wave(definition, wave, answers, material)
    if definition.rule is Rule.FLOOR:
        regions = {code: cells_of(answers, definition, region(code)) for code in answers.regions}
        found = judge_regions(definition, settings, RegionalEvidence(now, regions))
        return tuple(Judged(code, found[code], regions[code], now.cells, answers.through) for code in regions)
    evidence = Evidence(
        now,
        wave.year,
        tuple(_wave(definition, each, held, material) for each, held in _earlier(definition, wave, material)),
        _unknown(definition, answers),
    )
    return (Judged(ALL, judge(definition, settings, evidence), now.cells, None, answers.through),)


def _earlier(definition: MeasureDefinition, wave: Fieldwork, material: Material) -> Sequence[tuple[Fieldwork, Answers]]:
    """The waves before this one that asked the question; of two with one ordinal the one that was opened later."""
    found = {
        each.ordinal: (each, held)
        for each in material.waves
        if each.ordinal < wave.ordinal and (held := material.answers.get((each.id, definition.question))) is not None
    }
    return list(found.values())


def _wave(definition: MeasureDefinition, wave: Fieldwork, answers: Answers, material: Material) -> Wave:
    registered = material.registered if definition.instrument == STAKEHOLDER_SURVEY else {}
    return Wave(
        wave.ordinal,
        cells_of(answers, definition, cell_of(definition)),
        wave.is_open,
        wave.population(definition.group.code, registered),
        series_at(wave, definition.question, material.waves),
    )


def _unknown(definition: MeasureDefinition, answers: Answers) -> Cells:
    """Answers that do not say whether they count: complaints whose group nobody noted."""
    tallies = answers.tallies(cell_of(definition))
    total = Tally.total(tally for code, tally in tallies.items() if code in definition.unknown)
    return Cells(total.n, total.w, total.ww)
