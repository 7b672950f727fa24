"""Where a measure stands: its newest figure, those of its regions, and how fresh they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from measures.domain.measure import Figure, Measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """Of one wave: responses counted and when the last was, responses that wait as letters and would belong to it.

    `numbers` are the last events of responses applied, per partition of their topic, whatever their wave.
    """

    wave_id: str
    as_of: datetime | None
    responses: int
    parked: int
    numbers: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """`figure` is None for a regional measure and before anybody answered; `regions` are sorted by code."""

    measure: Measure
    settings_version: int
    synthetic: bool
    figure: Figure | None
    regions: tuple[Figure, ...]
    freshness: Freshness | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """All measures, of real data or of synthetic, never of both."""

    synthetic: bool
    settings_version: int
    standings: tuple[Standing, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Events that are not applied.

    One that was put aside is a letter; `behind` is the letter that it waits for. Of others their owner tells: `state` is
    unsent or unheard, `events` is how many. `data` are None where nobody could read or look what they are about; of
    `answers` only the names of the questions count.
    """

    letter: str | None
    topic: str
    state: str
    reason: str
    behind: str | None
    data: Mapping[str, Any] | None
    events: int = 1

    @property
    def cause(self) -> tuple[str | None, str]:
        """The letter to look at, if there is one, and why these events wait."""
        owner = self.topic.partition(".")[0]
        if self.behind is not None:
            return self.behind, "parked behind"
        if self.letter is not None:
            return self.letter, f"{self.state} ({self.reason}):"
        return None, f"not sent yet by {owner}" if self.state == "unsent" else f"sent by {owner}, not applied yet"
