"""This service's own copy of what stakeholders agreed to; the registry owns the fact."""

from dataclasses import dataclass, field

UPDATES = "updates"
"""The purpose of everything this service sends (demand: consent per purpose and channel)."""


@dataclass(frozen=True, slots=True)
class Consent:
    purpose: str
    channel: str


@dataclass(slots=True, kw_only=True)
class Consents:
    """What one stakeholder agrees to at present; the id is the stakeholder's."""

    id: str
    given: list[Consent] = field(default_factory=list)
    erased: bool = False
    version: int = 0

    def grant(self, purpose: str, channel: str) -> None:
        if not self.erased and not self.allows(purpose, channel):
            self.given.append(Consent(purpose, channel))

    def withdraw(self, purpose: str, channel: str) -> None:
        self.given = [consent for consent in self.given if consent != Consent(purpose, channel)]

    def allows(self, purpose: str, channel: str) -> bool:
        return Consent(purpose, channel) in self.given

    def erase(self) -> None:
        self.given = []
        self.erased = True
