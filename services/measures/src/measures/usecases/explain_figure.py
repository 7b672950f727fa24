"""Explain a figure: what it was made by, from which responses, and whether counting them again gives the same."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field
from rapport_ports import Command

from measures.domain.answers import ALL, answers_id, intake_id
from measures.domain.cells import Cells
from measures.domain.definition import MeasureDefinition
from measures.domain.explanation import Counted, Recount, recount
from measures.domain.fieldwork import PublishedInstrument, PublishedQuestion
from measures.domain.figures import cell_of, cells_of
from measures.domain.measure import DefinitionVersion, Figure, FigureNotFound
from measures.domain.settings_history import SettingsVersion
from measures.domain.verdict import Verdict
from measures.usecases import Unit
from measures.usecases.list_measures import kind_shown
from measures.usecases.read_settings import read_settings


class ExplainFigure(Command):
    """`wave` None: the newest that has a figure. `after` events are passed over, at most `limit` are named."""

    measure: str
    wave: str | None = None
    region: str | None = None
    synthetic: bool | None = None
    after: int = Field(default=0, ge=0)
    limit: int = Field(default=200, ge=1, le=1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """`recounts`: by name what was counted again: "figure" (the integers the verdict was made from), "read model"
    (those held now), "everyone" (what a region is held against). A suppressed figure withholds integers and events.
    """

    figure: Figure
    definition: MeasureDefinition
    settings: SettingsVersion
    question: PublishedQuestion | None
    withheld: bool
    agrees: bool
    recounts: Mapping[str, Recount]
    events: tuple[str, ...]
    next: int | None


async def explain_figure(question: ExplainFigure, unit: Unit) -> Explanation:
    """Raises FigureNotFound."""
    figure = await _figure(question, unit)
    kept = await unit.definitions.get(DefinitionVersion.id_of(figure.measure, figure.judgement.definition_version))
    if kept is None:
        raise FigureNotFound(f"the definition that {figure.id} was judged by is not kept")
    definition = kept.definition
    recounts = await _recounts(figure, definition, unit)
    withheld = figure.judgement.verdict is Verdict.SUPPRESSED
    events = recounts["figure"].events
    behind = question.after + question.limit
    return Explanation(
        figure=figure,
        definition=definition,
        settings=(await read_settings(None, unit)).at(figure.judgement.settings_version),
        question=await _question(figure, unit),
        withheld=withheld,
        agrees=all(each.agrees for each in recounts.values()) and _same_share(figure, recounts["figure"].recounted),
        recounts={} if withheld else recounts,
        events=() if withheld else events[question.after : behind],
        next=behind if behind < len(events) and not withheld else None,
    )


async def _figure(question: ExplainFigure, unit: Unit) -> Figure:
    where = {
        "measure": question.measure,
        "synthetic": await kind_shown(question.synthetic, unit),
        "subject_key": question.region or ALL,
    }
    if question.wave is not None:
        where["wave_id"] = question.wave
    found = await unit.figures.find(where, sort="ordinal", descending=True, limit=1)
    if not found:
        raise FigureNotFound("there is no such figure, or nobody has answered yet; a regional measure needs a region")
    return found[0]


async def _recounts(figure: Figure, definition: MeasureDefinition, unit: Unit) -> dict[str, Recount]:
    """The tallies are read before the evidence: of rows that came in between there are none below `through`."""
    intake = intake_id(figure.wave_id, synthetic=figure.synthetic)
    answers = await unit.answers.get(answers_id(intake, figure.question))
    cell = cell_of(definition, figure.subject_key)
    through = max(figure.through, answers.through if answers else 0)
    of_figure, of_model, of_everyone = list[Counted](), list[Counted](), list[Counted]()
    place = 0
    async for rows in unit.rows(intake, through):
        for row in rows:
            place += 1
            code = row.answers.get(figure.question)
            if code is None:
                continue
            counted = Counted(row.event, code, row.weight)
            before = place <= figure.through
            if figure.everyone is not None and before:
                of_everyone.append(counted)
            if cell == ALL or cell in row.cells:
                of_model.append(counted)
                if before:
                    of_figure.append(counted)
    rule = (definition.counts, definition.left_out)
    found = {
        "figure": recount(figure.cells, of_figure, *rule),
        "read model": recount(cells_of(answers, definition, cell) if answers else Cells(), of_model, *rule),
    }
    if figure.everyone is not None:
        found["everyone"] = recount(figure.everyone, of_everyone, *rule)
    return found


def _same_share(figure: Figure, recounted: Cells) -> bool:
    """To the last bit: both are one division of two integers."""
    return figure.judgement.share is None or (recounted.w > 0 and figure.judgement.share == recounted.share)


async def _question(figure: Figure, unit: Unit) -> PublishedQuestion | None:
    wave = await unit.waves.get(figure.wave_id)
    if wave is None:
        return None
    id_ = PublishedInstrument.id_of(wave.instrument, wave.instrument_version, synthetic=wave.synthetic)
    instrument = await unit.instruments.get(id_)
    return instrument.question(figure.question) if instrument else None
