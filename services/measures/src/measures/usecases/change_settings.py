"""Change settings, openly: a new version, and every figure judged anew with both versions visible."""

from pydantic import Field, JsonValue
from rapport_ports import Command

from measures.domain.settings_history import SettingsHistory
from measures.usecases import Unit
from measures.usecases.judge_touched import judge_everything
from measures.usecases.load_definitions import define
from measures.usecases.read_settings import read_settings


class ChangeSettings(Command):
    changes: dict[str, JsonValue] = Field(
        min_length=1,
        max_length=100,
        description="New values by name, decimals as strings; names that are left out stay as they are",
    )


async def change_settings(command: ChangeSettings, unit: Unit) -> SettingsHistory:
    """What changes nothing makes no version. Raises SettingsNotFound, InvalidSettings."""
    history = await read_settings(None, unit)
    before = history.current
    settings = before.changed(**command.changes)
    if settings.to_dict() == before.to_dict() | {"version": settings.version}:
        return history
    loaded = await define(settings, unit)
    history.add(settings, by=unit.actor, at=unit.now)
    unit.settings.save(history)
    for measure in loaded.measures:
        unit.measures.save(measure)
    await judge_everything(loaded.measures, settings, unit)
    return history
