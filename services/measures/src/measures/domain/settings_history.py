"""Every version of the settings that figures were judged by."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from measures.domain.settings import Settings


class SettingsNotFound(Exception):
    """There is no such version of the settings; until the definitions are loaded there is none."""


@dataclass(slots=True, kw_only=True)
class SettingsVersion:
    """`values` as in `Settings.to_dict`; `changed` names those that differ from the version before."""

    number: int
    values: dict[str, Any]
    changed: tuple[str, ...]
    by: str
    at: datetime


@dataclass(slots=True, kw_only=True)
class SettingsHistory:
    """All versions, oldest first; the last is in force."""

    id: str = "settings"
    version: int = 0
    versions: list[SettingsVersion] = field(default_factory=list)

    @property
    def current(self) -> Settings:
        """Raises InvalidSettings where what is kept is not understood by this release."""
        return Settings.from_dict(self.versions[-1].values)

    def at(self, number: int) -> SettingsVersion:
        """Raises SettingsNotFound."""
        for each in self.versions:
            if each.number == number:
                return each
        raise SettingsNotFound(f"there is no version {number} of the settings")

    def add(self, settings: Settings, *, by: str, at: datetime) -> None:
        """The next version in force."""
        values = settings.to_dict()
        before = self.versions[-1].values if self.versions else {}
        changed = tuple(sorted(name for name in values if name != "version" and values[name] != before.get(name)))
        self.versions.append(
            SettingsVersion(number=settings.version, values=values, changed=changed if before else (), by=by, at=at)
        )
