"""Instruments: what is asked, in which words, and what an answer is worth.

A question's wording belongs to its version for good. Other words are another version, so a series of figures can never
change its meaning unseen (AMB9).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date


class InstrumentNotFound(Exception):
    pass


class VersionTaken(Exception):
    """This version of the instrument is published already."""


class VersionSkipped(Exception):
    """Versions are published one after the other."""


class WordingChanged(Exception):
    """A question was changed under a version that is published already."""


class QuestionOutdated(Exception):
    """A question has a version below one that is published already, and it is none of those."""


class SyntheticMixed(Exception):
    """Made-up and real data never meet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    code: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One version of a question. The base is everyone asked, so `left_out` names what is outside (refused, not asked)."""

    code: str
    version: int
    text: str
    answers: tuple[Answer, ...]
    counts: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    breaks_series: bool = False
    """Figures of this version are not to be compared with those of the version before."""

    @property
    def answer_codes(self) -> tuple[str, ...]:
        return tuple(answer.code for answer in self.answers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """One version of an instrument; never changed once it is published."""

    number: int
    title: str | None
    weighted: bool
    questions: tuple[Question, ...]
    groups: tuple[str, ...]
    regions: tuple[str, ...]
    published_on: date

    def question(self, code: str) -> Question | None:
        return next((question for question in self.questions if question.code == code), None)


@dataclass(slots=True, kw_only=True)
class Instrument:
    """All versions of one instrument. `version` counts writes of the document, `Edition.number` what was published."""

    id: str
    version: int = 0
    code: str
    synthetic: bool
    editions: tuple[Edition, ...] = ()

    def edition(self, number: int) -> Edition:
        """Raises InstrumentNotFound."""
        for edition in self.editions:
            if edition.number == number:
                return edition
        raise InstrumentNotFound(f"{self.code} has no version {number}")

    def check_publishable(self, edition: Edition) -> None:
        """Raises VersionTaken, VersionSkipped, WordingChanged, QuestionOutdated."""
        newest = max((known.number for known in self.editions), default=0)
        if edition.number <= newest:
            raise VersionTaken(f"version {edition.number} of {self.code} is published already")
        if edition.number > newest + 1:
            raise VersionSkipped(f"the next version of {self.code} is {newest + 1}")
        for question in edition.questions:
            published = {known.version: known for known in self._versions_of(question.code)}
            same = published.get(question.version)
            if same is None and published and question.version < max(published):
                raise QuestionOutdated(f"{question.code} was published with version {max(published)}")
            if same is not None and same != question:
                raise WordingChanged(
                    f"{question.code} differs from its published version {question.version}: give it a new version"
                )

    def series_breaks(self, code: str, before: int, after: int) -> bool:
        """Whether a break lies between two versions of a question, in whichever direction one goes."""
        low, high = sorted((before, after))
        return any(low < question.version <= high and question.breaks_series for question in self._versions_of(code))

    def _versions_of(self, code: str) -> Iterable[Question]:
        return (question for edition in self.editions for question in edition.questions if question.code == code)
