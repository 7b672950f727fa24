"""Read the settings: those in force, and every version before."""

from measures.domain.settings_history import SettingsHistory, SettingsNotFound
from measures.usecases import Unit


async def read_settings(_: None, unit: Unit) -> SettingsHistory:
    """Raises SettingsNotFound until the definitions are loaded."""
    history = await unit.settings.get("settings")
    if history is None:
        raise SettingsNotFound("load the definitions first: that brings the settings' defaults into force")
    return history
