"""Load the measures of Annex B as the settings in force read it."""

from dataclasses import dataclass, replace

from rapport_events.measures import MeasureDefined
from rapport_ports import Command

from measures.domain import definition as annex
from measures.domain.measure import DefinitionVersion, Measure
from measures.domain.settings import Settings
from measures.domain.settings_history import SettingsHistory
from measures.usecases import Unit
from measures.usecases.judge_touched import judge_everything


class LoadDefinitions(Command):
    """The annex is part of the service; so there is nothing to say."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """`changed` are the ids of measures that are new or have a new version of their definition."""

    settings_version: int
    measures: tuple[Measure, ...]
    changed: tuple[str, ...]


async def load_definitions(_: LoadDefinitions, unit: Unit) -> Loaded:
    """Loading what is loaded already changes nothing. The first time it brings the settings' defaults into force."""
    history = await unit.settings.get("settings")
    if history is None:
        history = SettingsHistory()
        history.add(Settings(), by=unit.actor, at=unit.now)
        unit.settings.add(history)
    loaded = await define(history.current, unit)
    if loaded.changed:
        await judge_everything(loaded.measures, history.current, unit)
    return loaded


async def define(settings: Settings, unit: Unit) -> Loaded:
    """The annex as these settings read it; a definition that says something else is the next version of it."""
    known = {measure.id: measure for measure in await unit.measures.find({})}
    measures, changed = [], []
    for position, read in enumerate(annex.load_definitions(settings), start=1):
        measure = known.get(read.id)
        if measure is None:
            measure = Measure(id=read.id, position=position, definition=read)
            unit.measures.add(measure)
        elif replace(read, version=measure.definition.version) == measure.definition:
            measures.append(measure)
            continue
        else:
            measure.definition = replace(read, version=measure.definition.version + 1)
            unit.measures.save(measure)
        measures.append(measure)
        changed.append(measure.id)
        _keep(measure, settings, unit)
    return Loaded(settings.version, tuple(measures), tuple(changed))


def _keep(measure: Measure, settings: Settings, unit: Unit) -> None:
    definition = measure.definition
    unit.definitions.add(
        DefinitionVersion(id=DefinitionVersion.id_of(measure.id, definition.version), definition=definition)
    )
    unit.emit(
        MeasureDefined(
            measure_id=measure.id,
            definition_version=definition.version,
            settings_version=settings.version,
            instrument_code=definition.instrument,
            question_code=definition.question,
            group=definition.group.code,
            rule=definition.rule,
        ),
    )
