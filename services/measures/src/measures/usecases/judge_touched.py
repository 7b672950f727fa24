"""Judge anew what a unit of work may have changed, and tell of every verdict that is another one now."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rapport_events.measures import VerdictChanged

from measures.domain.answers import Answers, intake_id
from measures.domain.fieldwork import Fieldwork
from measures.domain.figures import COMPARING, Judged, Material, judge_wave
from measures.domain.measure import Figure, Measure, says_something_else
from measures.domain.population import STAKEHOLDER_SURVEY, Populations
from measures.domain.settings import Settings
from measures.usecases import Unit


@dataclass(slots=True)
class Touched:
    """What changed of one instrument, real or synthetic: whole waves, and single questions of a wave."""

    waves: set[str] = field(default_factory=set)
    questions: dict[str, set[str]] = field(default_factory=dict)

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
    if not (unit.countings or unit.noted_waves or unit.noted_populations):
        return
    history = await unit.settings.get("settings")
    if history is None:
        return
    touched: dict[tuple[str, bool], Touched] = {}
    for wave in unit.noted_waves.values():
        touched.setdefault((wave.instrument, wave.synthetic), Touched()).waves.add(wave.id)
    for (wave_id, synthetic), counting in unit.countings.items():
        known = await unit.waves.get(wave_id)
        # A response before the news of its wave waits in the tallies; one that is not of its wave's kind stays apart.
        if known is not None and known.synthetic == synthetic:
            of_instrument = touched.setdefault((known.instrument, synthetic), Touched())
            of_instrument.questions[wave_id] = set(counting.answers)
    for name in unit.noted_populations:
        synthetic = name == Populations.id_of(synthetic=True)
        open_waves = {"instrument": STAKEHOLDER_SURVEY, "synthetic": synthetic, "is_open": True}
        for wave in await unit.waves.find(open_waves):
            touched.setdefault((STAKEHOLDER_SURVEY, synthetic), Touched()).waves.add(wave.id)
    if touched:
        await judge(await unit.measures.find({}, sort="position"), history.current, touched, unit)


async def judge_everything(measures: Sequence[Measure], settings: Settings, unit: Unit) -> None:
    """Every figure there is, by these definitions and settings."""
    touched: dict[tuple[str, bool], Touched] = {}
    for wave in await unit.waves.find({}):
        touched.setdefault((wave.instrument, wave.synthetic), Touched()).waves.add(wave.id)
    await judge(measures, settings, touched, unit)


async def judge(
    measures: Sequence[Measure], settings: Settings, touched: Mapping[tuple[str, bool], Touched], unit: Unit
) -> None:
    """A figure that came out as it was is not written."""
    for (instrument, synthetic), what in touched.items():
        of_instrument = [measure for measure in measures if measure.definition.instrument == instrument]
        material = await _material(instrument, of_instrument, unit, synthetic=synthetic)
        plan = [
            (measure, wave)
            for wave in material.waves
            for measure in of_instrument
            if what.reaches(measure, wave, material.waves)
        ]
        figures = await _figures({wave.id for _, wave in plan}, {measure.id for measure, _ in plan}, unit)
        for measure, wave in plan:
            for judged in judge_wave(measure.definition, settings, wave, material):
                before = figures.get(Figure.id_of(measure.id, wave.id, judged.subject_key))
                if before is None or before.judgement != judged.judgement:
                    await _write(measure, wave, judged, before, unit)


async def _material(instrument: str, measures: Iterable[Measure], unit: Unit, *, synthetic: bool) -> Material:
    """What is stored, with what this unit adds to it."""
    waves = {wave.id: wave for wave in await unit.waves.find({"instrument": instrument, "synthetic": synthetic})}
    noted = (wave for wave in unit.noted_waves.values() if (wave.instrument, wave.synthetic) == (instrument, synthetic))
    waves |= {wave.id: wave for wave in noted}
    questions = sorted({measure.definition.question for measure in measures})
    where = {"wave_id": {"in": sorted(waves)}, "synthetic": synthetic, "question": {"in": questions}}
    answers: dict[str, Answers] = {each.id: each for each in await unit.answers.find(where)}
    for (wave_id, kind), counting in unit.countings.items():
        if wave_id in waves and kind == synthetic:
            answers |= {each.id: each for each in counting.answers.values()}
    registered = await unit.populations.get(Populations.id_of(synthetic=synthetic))
    return Material.of(waves.values(), answers.values(), registered.counts if registered else None)


async def _figures(waves: Collection[str], measures: Collection[str], unit: Unit) -> dict[str, Figure]:
    where = {"wave_id": {"in": sorted(waves)}, "measure": {"in": sorted(measures)}}
    return {figure.id: figure for figure in await unit.figures.find(where)}


async def _write(measure: Measure, wave: Fieldwork, judged: Judged, before: Figure | None, unit: Unit) -> None:
    definition, judgement = measure.definition, judged.judgement
    intake = await unit.intakes.get(intake_id(wave.id, synthetic=wave.synthetic))
    figure = Figure(
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
        as_of=intake.as_of if intake else None,
        changed_at=int(unit.now.timestamp() * 1_000_000),
        superseded=before.judged_again(judgement) if before else (),
    )
    unit.figures.add(figure)
    # Written with every figure: a change of definitions or settings at the same moment then meets a conflict, and one
    # of the two is done again, so that no figure is left with settings that no longer are in force.
    unit.measures.save(measure)
    if says_something_else(before.judgement if before else None, judgement):
        unit.emit(
            VerdictChanged(
                measure_id=measure.id,
                subject_key=judged.subject_key,
                wave_id=wave.id,
                ordinal=wave.ordinal,
                verdict=judgement.verdict,
                previous=before.judgement.verdict if before else None,
                severity=judgement.severity,
                provisional=judgement.provisional,
                share=judgement.share,
                base=judgement.base,
                definition_version=judgement.definition_version,
                settings_version=judgement.settings_version,
                synthetic=wave.synthetic,
            ),
        )
