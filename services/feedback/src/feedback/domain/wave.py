"""Waves: an instrument in the field, for a time."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from feedback.domain.instrument import Edition, Instrument


class WaveNotFound(Exception):
    pass


class WaveIsClosed(Exception):
    """It takes no more responses."""


class WaveExists(Exception):
    """There is a wave with this place in the series."""


class ExerciseUnknown(Exception):
    """No exercise of this id is known here, or not yet."""


class WaveState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


@dataclass(slots=True, kw_only=True)
class Wave:
    """`populations`: how many people a segment has, where that is finite and known (I2)."""

    id: str
    version: int = 0
    instrument_id: str
    instrument_code: str
    instrument_version: int
    ordinal: int
    """Place in the series; 0 is the baseline wave."""
    year: int
    """Year of the strategy, 0 for the baseline."""
    starts_on: date
    ends_on: date
    populations: dict[str, int] = field(default_factory=dict)
    question_versions: dict[str, int]
    breaks: tuple[str, ...] = ()
    exercise_id: str | None = None
    synthetic: bool
    state: WaveState = WaveState.OPEN
    closed_on: date | None = None

    def check_open(self) -> None:
        """Raises WaveIsClosed."""
        if self.state is WaveState.CLOSED:
            raise WaveIsClosed(f"the wave was closed on {self.closed_on}")

    def close(self, today: date) -> None:
        """Raises WaveIsClosed."""
        self.check_open()
        self.state = WaveState.CLOSED
        self.closed_on = today


def broken_series(instrument: Instrument, edition: Edition, ordinal: int, waves: Iterable[Wave]) -> tuple[str, ...]:
    """Questions of which figures of a wave cannot be compared with those of the last wave before it that asked them."""
    earlier = sorted((wave for wave in waves if wave.ordinal < ordinal), key=lambda wave: wave.ordinal, reverse=True)
    broken = []
    for question in edition.questions:
        asked = next(
            (w.question_versions[question.code] for w in earlier if question.code in w.question_versions), None
        )
        if asked is not None and instrument.series_breaks(question.code, asked, question.version):
            broken.append(question.code)
    return tuple(broken)
