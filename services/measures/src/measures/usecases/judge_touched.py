"""Judge anew what a unit of work may have changed, and tell of every verdict that is another one now."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rapport_events.measures import VerdictChanged

from measures.domain.basis import Basis
from measures.domain.fieldwork import Fieldwork
from measures.domain.figures import COMPARING, Judged, Material, judge_wave
from measures.domain.judgement import Judgement
from measures.domain.measure import Figure, Measure, MeasureNotFound, says_something_else
from measures.domain.population import STAKEHOLDER_SURVEY, Populations
from measures.domain.settings import Settings
from measures.usecases import Unit
from measures.usecases.fold_response import written_intake


@dataclass(slots=True)
class Touched:
    """What changed of one instrument, real or synthetic: whole waves, single questions of a wave, whom one could ask."""

    waves: set[str] = field(default_factory=set)
    questions: dict[str, set[str]] = field(default_factory=dict)
    populations: bool = False

    def reaches(self, measure: Measure, wave: Fieldwork, waves: Iterable[Fieldwork]) -> bool:
        """Whether the measure's figure in this wave may be another one now.

        A wave that came, closed or broke a series changes what later waves are compared with; answers to one question
        change the comparisons of that question.
        """
        question = measure.definition.question
        if wave.id in self.waves or question in self.questions.get(wave.id, ()):
            return True
        earlier = [each for each in waves if each.ordinal < wave.ordinal]
        if any(each.id in self.waves for each in earlier):
            return True
        return measure.definition.rule in COMPARING and any(
            question in self.questions.get(each.id, ()) for each in earlier
        )


async def judge_touched(unit: Unit) -> None:
    """Once per consumed batch. Nothing is judged before the definitions are loaded: loading them judges everything."""
    for (instrument, synthetic), what in (await _touched(unit)).items():
        if what.waves or what.populations:
            unit.bases.pop((instrument, synthetic), None)
        basis = unit.bases.get((instrument, synthetic)) or await _basis(instrument, unit, synthetic=synthetic)
        if basis is None:
            return
        unit.bases[instrument, synthetic] = basis
        await _judge(basis, what, unit)


async def judge_everything(measures: Sequence[Measure], settings: Settings, unit: Unit) -> None:
    """Every figure there is, by these definitions and settings."""
    await unit.intakes.find({})  # before all else, see `_basis`
    touched: dict[tuple[str, bool], Touched] = {}
    for wave in await unit.waves.find({}):
        touched.setdefault((wave.instrument, wave.synthetic), Touched()).waves.add(wave.id)
    for (instrument, synthetic), what in touched.items():
        of_instrument = [measure for measure in measures if measure.definition.instrument == instrument]
        await _judge(await _read(instrument, settings, of_instrument, unit, synthetic=synthetic), what, unit)


async def _touched(unit: Unit) -> dict[tuple[str, bool], Touched]:
    touched: dict[tuple[str, bool], Touched] = {}
    for wave in unit.noted_waves.values():
        touched.setdefault((wave.instrument, wave.synthetic), Touched()).waves.add(wave.id)
    for (wave_id, synthetic), counting in unit.countings.items():
        known = next((basis.waves[wave_id] for basis in unit.bases.values() if wave_id in basis.waves), None)
        if known is None:
            known = await unit.waves.get(wave_id)
            if known is not None:
                unit.bases.pop((known.instrument, known.synthetic), None)
        # A response before the news of its wave waits in the tallies; one that is not of its wave's kind stays apart.
        if known is not None and known.synthetic == synthetic:
            of_instrument = touched.setdefault((known.instrument, synthetic), Touched())
            of_instrument.questions[wave_id] = set(counting.answers)
    for name in unit.noted_populations:
        synthetic = name == Populations.id_of(synthetic=True)
        touched.setdefault((STAKEHOLDER_SURVEY, synthetic), Touched()).populations = True
    return touched


async def _basis(instrument: str, unit: Unit, *, synthetic: bool) -> Basis | None:
    """By the settings and definitions in force; None before there are any.

    Intakes are read before all else. Whoever changes what a figure rests on writes the intake of its wave: should that
    happen between this and the commit, also if it is in the commit of a later unit that goes on with this basis, then
    the intake is not in the version that was read, and the unit meets a conflict.
    """
    await unit.intakes.find({"synthetic": synthetic})
    history = await unit.settings.get("settings")
    if history is None:
        return None
    measures = [
        each for each in await unit.measures.find({}, sort="position") if each.definition.instrument == instrument
    ]
    return await _read(instrument, history.current, measures, unit, synthetic=synthetic)


async def _read(
    instrument: str, settings: Settings, measures: Sequence[Measure], unit: Unit, *, synthetic: bool
) -> Basis:
    """What is stored, with the waves that this unit adds to it."""
    waves = {wave.id: wave for wave in await unit.waves.find({"instrument": instrument, "synthetic": synthetic})}
    noted = (wave for wave in unit.noted_waves.values() if (wave.instrument, wave.synthetic) == (instrument, synthetic))
    waves |= {wave.id: wave for wave in noted}
    of_waves = {"wave_id": {"in": sorted(waves)}}
    questions = sorted({measure.definition.question for measure in measures})
    answers, figures = await asyncio.gather(
        unit.answers.find({**of_waves, "synthetic": synthetic, "question": {"in": questions}}),
        unit.figures.find({**of_waves, "measure": {"in": [measure.id for measure in measures]}}),
    )
    return Basis(
        settings,
        measures,
        waves,
        {each.id: each for each in answers},
        {each.id: each for each in figures},
    )


async def _judge(basis: Basis, what: Touched, unit: Unit) -> None:
    """A figure that came out as it was is not written."""
    for (wave_id, synthetic), counting in unit.countings.items():
        if wave_id in basis.waves and basis.waves[wave_id].synthetic == synthetic:
            basis.answers |= {each.id: each for each in counting.answers.values()}
    material = Material.of(basis.waves.values(), basis.answers.values(), await _registered(basis, unit))
    if what.populations:
        what.waves |= {wave.id for wave in material.waves if wave.is_open}
    plan = [
        (measure, wave)
        for wave in material.waves
        for measure in basis.measures
        if what.reaches(measure, wave, material.waves)
    ]
    # Of a wave that came or closed others may not know yet, who must judge later ones by it.
    reached = basis.waves if what.waves else {wave.id for _, wave in plan}
    intakes = {id_: await written_intake(id_, unit, synthetic=basis.waves[id_].synthetic) for id_ in reached}
    for measure, wave in plan:
        for judged in judge_wave(measure.definition, basis.settings, wave, material):
            before = basis.figures.get(Figure.id_of(measure.id, wave.id, judged.subject_key))
            if before is None or before.judgement != judged.judgement:
                figure = _figure(measure, wave, judged, before, unit, as_of=intakes[wave.id].as_of)
                unit.figures.add(figure)
                basis.figures[figure.id] = figure
                said = before.judgement if before else None
                if says_something_else(said, figure.judgement):
                    await tell(figure, said, unit)


async def _registered(basis: Basis, unit: Unit) -> Mapping[str, int]:
    """How many could be asked, where that is the registry's to say."""
    wave = next(iter(basis.waves.values()), None)
    if wave is None or wave.instrument != STAKEHOLDER_SURVEY:
        return {}
    registered = await unit.populations.get(Populations.id_of(synthetic=wave.synthetic))
    return registered.counts if registered else {}


def _figure(
    measure: Measure, wave: Fieldwork, judged: Judged, before: Figure | None, unit: Unit, *, as_of: datetime | None
) -> Figure:
    definition, judgement = measure.definition, judged.judgement
    return Figure(
        id=Figure.id_of(measure.id, wave.id, judged.subject_key),
        version=before.version if before else 0,
        measure=measure.id,
        title=definition.title,
        group=definition.group.label,
        subject_key=judged.subject_key,
        wave_id=wave.id,
        instrument=wave.instrument,
        question=definition.question,
        question_version=wave.question_versions.get(definition.question, definition.question_version),
        ordinal=wave.ordinal,
        year=wave.year,
        synthetic=wave.synthetic,
        judgement=judgement,
        cells=judged.cells,
        everyone=judged.everyone,
        through=judged.through,
        as_of=as_of,
        changed_at=int(unit.now.timestamp() * 1_000_000),
        superseded=before.judged_again(judgement) if before else (),
    )


async def tell(figure: Figure, before: Judgement | None, unit: Unit) -> None:
    """Tell the world what a figure says, and what it said before. Its measure is written, which orders its events."""
    measure = await unit.measures.get(figure.measure)
    if measure is None:
        raise MeasureNotFound(figure.measure)
    unit.measures.save(measure)
    judgement = figure.judgement
    unit.emit(
        VerdictChanged(
            measure_id=figure.measure,
            subject_key=figure.subject_key,
            wave_id=figure.wave_id,
            ordinal=figure.ordinal,
            verdict=judgement.verdict,
            previous=before.verdict if before else None,
            severity=judgement.severity,
            provisional=judgement.provisional,
            share=judgement.share,
            base=judgement.base,
            definition_version=judgement.definition_version,
            settings_version=judgement.settings_version,
            synthetic=figure.synthetic,
        ),
    )
