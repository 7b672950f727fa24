"""How many could be asked: the registry's stakeholders per segment, counted from what it tells."""

from dataclasses import dataclass, field

from measures.domain.answers import ALL

STAKEHOLDER_SURVEY = "stakeholder-survey"
"""The one instrument whose population is the registry; all others ask the public or count complaints."""


@dataclass(slots=True, kw_only=True)
class Stakeholder:
    """Our copy of what decides whom a stakeholder is counted with. Without a segment nobody surveys them (AMB8)."""

    id: str
    version: int = 0
    segment: str | None
    category: str
    synthetic: bool

    @property
    def counted_in(self) -> tuple[str, ...]:
        return (ALL, self.segment, self.category) if self.segment is not None else ()


@dataclass(slots=True, kw_only=True)
class Populations:
    """People per segment, per landscape category and in all; `id` is "real" or "synthetic"."""

    id: str
    version: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    @staticmethod
    def id_of(*, synthetic: bool) -> str:
        return "synthetic" if synthetic else "real"

    def enter(self, stakeholder: Stakeholder) -> None:
        for name in stakeholder.counted_in:
            self.counts[name] = self.counts.get(name, 0) + 1

    def leave(self, stakeholder: Stakeholder) -> None:
        for name in stakeholder.counted_in:
            self.counts[name] = self.counts.get(name, 0) - 1
