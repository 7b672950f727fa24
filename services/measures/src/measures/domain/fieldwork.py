"""Waves of a survey as the feedback service tells of them, and when what they found may be compared."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


class WaveNotFound(Exception):
    """Nothing was told of such a wave."""


@dataclass(slots=True, kw_only=True)
class Fieldwork:
    """A wave. `populations` are those its organisers named, per segment code or "all"; they win over the registry's.

    `counted` are the registry's at the moment of closing: a closed wave's finite population no longer changes.
    """

    id: str
    version: int = 0
    instrument: str
    instrument_version: int
    ordinal: int
    year: int
    synthetic: bool
    is_open: bool = True
    populations: dict[str, int] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)
    question_versions: dict[str, int] = field(default_factory=dict)
    breaks: tuple[str, ...] = ()

    def population(self, group: str, registered: Mapping[str, int]) -> int | None:
        """N of a group; `registered` are the registry's counts of now. None where nobody is known."""
        named = self.populations.get(group)
        if named is None:
            named = (registered if self.is_open else self.counted).get(group)
        return named or None


def series_at(wave: Fieldwork, question: str, waves: Iterable[Fieldwork]) -> int:
    """The series of a question in a wave: the first is 1, and each break up to this wave begins the next (AMB9)."""
    return 1 + sum(1 for each in waves if each.ordinal <= wave.ordinal and question in each.breaks)


@dataclass(slots=True, kw_only=True)
class PublishedQuestion:
    """A question as a version of its instrument asks it."""

    code: str
    version: int
    answers: tuple[str, ...]
    counts: tuple[str, ...]
    left_out: tuple[str, ...]
    breaks_series: bool


@dataclass(slots=True, kw_only=True)
class PublishedInstrument:
    """A version of an instrument as it was published; `instrument` is its code, `number` its version."""

    id: str
    version: int = 0
    instrument: str
    number: int
    weighted: bool
    synthetic: bool
    questions: tuple[PublishedQuestion, ...]

    @staticmethod
    def id_of(instrument: str, number: int, *, synthetic: bool) -> str:
        return f"{instrument}/{number}/{'synthetic' if synthetic else 'real'}"

    def question(self, code: str) -> PublishedQuestion | None:
        return next((question for question in self.questions if question.code == code), None)
