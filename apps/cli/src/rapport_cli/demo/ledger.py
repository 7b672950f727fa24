"""What the services acknowledged, written down by whoever sent it: the evidence from outside."""

from dataclasses import dataclass, field
from typing import Any

from rapport_cli.synthetic.plan import WavePlan


@dataclass(slots=True)
class WaveLedger:
    """Acknowledgements of one wave.

    Attributes:
        sent: submissions, repeated ones included.
        events: id of the event that tells of a response, per response.
        repeated: acknowledgements of a response that had been acknowledged before.
        refused: answers that were no acknowledgement.
    """

    plan: WavePlan
    wave_id: str
    sent: int = 0
    events: dict[str, str] = field(default_factory=dict)
    repeated: int = 0
    refused: list[Any] = field(default_factory=list)

    def acknowledge(self, response: str, event: str) -> None:
        """Another event for a response that has one is as wrong as a refusal."""
        known = self.events.setdefault(response, event)
        if known != event:
            self.refused.append(f"response {response} is told of by {known} and by {event}")

    @property
    def accepted(self) -> int:
        return len(self.events)


@dataclass(slots=True)
class Ledger:
    """All waves, by the name of their plan."""

    waves: dict[str, WaveLedger] = field(default_factory=dict)

    @property
    def accepted(self) -> int:
        return sum(wave.accepted for wave in self.waves.values())

    @property
    def repeated(self) -> int:
        return sum(wave.repeated for wave in self.waves.values())

    @property
    def refused(self) -> list[Any]:
        return [each for wave in self.waves.values() for each in wave.refused]
