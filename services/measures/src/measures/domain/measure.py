"""A measure with the versions of its definition, and its figure in each wave with the verdicts it has had."""

from dataclasses import dataclass
from datetime import datetime

from measures.domain.cells import Cells
from measures.domain.definition import MeasureDefinition
from measures.domain.judgement import Judgement
from measures.domain.verdict import Verdict


class MeasureNotFound(Exception):
    """There is no such measure; until the definitions are loaded there is none."""


class FigureNotFound(Exception):
    """The measure has no figure for that wave and region, or none yet."""


@dataclass(slots=True, kw_only=True)
class Measure:
    """`position` is its place in Annex B."""

    id: str
    version: int = 0
    position: int
    definition: MeasureDefinition


@dataclass(slots=True, kw_only=True)
class DefinitionVersion:
    """A version of a definition, kept for ever: figures name the one they were judged by."""

    id: str
    version: int = 0
    definition: MeasureDefinition

    @staticmethod
    def id_of(measure: str, number: int) -> str:
        return f"{measure}/{number}"


@dataclass(slots=True, kw_only=True)
class Figure:
    """What a measure amounts to in one wave, for everyone ("all") or one region.

    `cells` are the integers judged, `everyone` those a region is held against. `through`: how many responses of the
    wave had been counted. `superseded`: what was said under earlier versions of the definition or of the settings,
    oldest first. `changed_at` is the time of the unit of work that wrote it, in microseconds.
    """

    id: str
    version: int = 0
    measure: str
    title: str
    group: str
    subject_key: str
    wave_id: str
    instrument: str
    question: str
    question_version: int
    ordinal: int
    year: int
    synthetic: bool
    judgement: Judgement
    cells: Cells
    everyone: Cells | None = None
    through: int
    as_of: datetime | None
    changed_at: int
    superseded: tuple[Judgement, ...] = ()

    @staticmethod
    def id_of(measure: str, wave_id: str, subject_key: str) -> str:
        return f"{measure}/{wave_id}/{subject_key}"

    def judged_again(self, judgement: Judgement) -> tuple[Judgement, ...]:
        """The superseded judgements once this one is in force: one for each pair of versions that went before."""
        before = self.judgement
        if _versions(before) == _versions(judgement):
            return self.superseded
        kept = (each for each in (*self.superseded, before) if _versions(each) != _versions(judgement))
        return tuple({_versions(each): each for each in kept}.values())


def says_something_else(before: Judgement | None, now: Judgement) -> bool:
    """Whether what can be said changed: verdict, severity, or provisional no longer.

    A first figure that is suppressed says no more than no figure at all.
    """
    if before is None:
        return now.verdict is not Verdict.SUPPRESSED
    return (before.verdict, before.severity, before.provisional) != (now.verdict, now.severity, now.provisional)


def _versions(judgement: Judgement) -> tuple[int, int]:
    return judgement.definition_version, judgement.settings_version
