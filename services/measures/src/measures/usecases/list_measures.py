"""List all measures, each with its newest figure."""

from collections.abc import Sequence

from rapport_ports import Command

from measures.domain.answers import ALL, intake_id
from measures.domain.measure import Figure, Measure
from measures.domain.standing import Freshness, Overview, Standing
from measures.usecases import Unit
from measures.usecases.read_settings import read_settings

RESPONSES = "feedback.response"


class ListMeasures(Command):
    """`synthetic` None: real figures as soon as a real wave is known, synthetic ones before; labelled either way."""

    synthetic: bool | None = None


async def list_measures(question: ListMeasures, unit: Unit) -> Overview:
    """In the order of Annex B. Raises SettingsNotFound until the definitions are loaded."""
    measures = await unit.measures.find({}, sort="position")
    return await overview(measures, question.synthetic, unit)


async def overview(measures: Sequence[Measure], synthetic: bool | None, unit: Unit) -> Overview:  # noqa: FBT001 - three values
    """These measures as they stand: a number of reads that depends on waves and regions, never on answers."""
    settings_version = (await read_settings(None, unit)).versions[-1].number
    kind = await kind_shown(synthetic, unit)
    figures = await _newest(measures, unit, synthetic=kind)
    freshness: dict[str, Freshness] = {}
    for found in figures.values():
        for figure in found[:1]:
            if figure.wave_id not in freshness:
                freshness[figure.wave_id] = await _freshness(figure, unit)
    standings = []
    for measure in measures:
        found = figures.get(measure.id, [])
        everyone = next((figure for figure in found if figure.subject_key == ALL), None)
        standings.append(
            Standing(
                measure=measure,
                settings_version=settings_version,
                synthetic=kind,
                figure=everyone,
                regions=tuple(figure for figure in found if figure.subject_key != ALL),
                freshness=freshness[found[0].wave_id] if found else None,
            ),
        )
    return Overview(synthetic=kind, settings_version=settings_version, standings=tuple(standings))


async def kind_shown(synthetic: bool | None, unit: Unit) -> bool:  # noqa: FBT001 - three values
    """Whether synthetic figures are asked for, or the only ones there are."""
    if synthetic is not None:
        return synthetic
    return not await unit.waves.count({"synthetic": False}) and await unit.waves.count({"synthetic": True}) > 0


async def _newest(measures: Sequence[Measure], unit: Unit, *, synthetic: bool) -> dict[str, list[Figure]]:
    """Per measure the figures of its newest wave that has any, by subject."""
    newest = {wave.instrument: wave.id for wave in await unit.waves.find({"synthetic": synthetic}, sort="ordinal")}
    ids = [measure.id for measure in measures]
    where = {"wave_id": {"in": sorted(newest.values())}, "measure": {"in": ids}}
    found: dict[str, list[Figure]] = {}
    for figure in await unit.figures.find(where):
        found.setdefault(figure.measure, []).append(figure)
    for measure in measures:
        # The newest wave may not have asked its question, or not yet.
        if measure.id not in found and measure.definition.instrument in newest:
            before = await unit.figures.find(
                {"measure": measure.id, "synthetic": synthetic}, sort="ordinal", descending=True, limit=1
            )
            for last in before:
                found[measure.id] = await unit.figures.find({"wave_id": last.wave_id, "measure": measure.id})
    return found


async def _freshness(figure: Figure, unit: Unit) -> Freshness:
    intake = await unit.intakes.get(intake_id(figure.wave_id, synthetic=figure.synthetic))
    return Freshness(
        wave_id=figure.wave_id,
        as_of=intake.as_of if intake else None,
        responses=intake.responses if intake else 0,
        parked=await unit.count_parked(RESPONSES, {"wave_id": figure.wave_id}),
        numbers=await unit.numbers(RESPONSES),
    )
