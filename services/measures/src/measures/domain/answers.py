"""The read model: what was answered, as tallies that know nothing of definitions, and the evidence behind them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from measures.domain.cells import Tally

ALL = "all"
"""The cell of everybody who answered."""

CHUNK = 1_000
"""Responses in one document of the evidence."""


def group(code: str) -> str:
    """The cell of a group."""
    return f"group:{code}"


def region(code: str) -> str:
    """The cell of a region."""
    return f"region:{code}"


def intake_id(wave_id: str, *, synthetic: bool) -> str:
    """Made-up responses have read models of their own, whatever their wave says, so that no figure can mix them."""
    return f"{wave_id}/{'synthetic' if synthetic else 'real'}"


def answers_id(intake: str, question: str) -> str:
    return f"{intake}/{question}"


class Row(NamedTuple):
    """One response as it entered the tallies; `event` is the id of the event that brought it."""

    event: str
    answers: dict[str, str]
    weight: int
    groups: tuple[str, ...]
    region: str | None

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells it is counted in, each once."""
        names = dict.fromkeys((ALL, *map(group, self.groups)))
        return (*names, region(self.region)) if self.region is not None else tuple(names)


@dataclass(slots=True, kw_only=True)
class Answers:
    """All answers to one question in one wave: cell -> answer code -> [n, Σw, Σw²].

    `through` is how many responses of its intake had been counted when this was last changed: rows of the evidence
    below it are the ones in these tallies.
    """

    id: str
    version: int = 0
    wave_id: str
    synthetic: bool
    question: str
    through: int = 0
    cells: dict[str, dict[str, list[int]]] = field(default_factory=dict)

    def integers(self, answer: str, cells: Iterable[str]) -> list[list[int]]:
        """What is counted of one answer in these cells: the lists themselves, to be changed in place."""
        return [self.cells.setdefault(name, {}).setdefault(answer, [0, 0, 0]) for name in cells]

    def tallies(self, cell: str) -> Mapping[str, Tally]:
        """Per answer code; empty where nobody of that cell answered."""
        return {code: Tally(*integers) for code, integers in self.cells.get(cell, {}).items()}

    @property
    def regions(self) -> list[str]:
        """Codes of the regions that answered, sorted."""
        return sorted(name.removeprefix("region:") for name in self.cells if name.startswith("region:"))


@dataclass(slots=True, kw_only=True)
class Intake:
    """How far the responses of a wave have been counted. `as_of`: when the last of them was."""

    id: str
    version: int = 0
    wave_id: str
    synthetic: bool
    responses: int = 0
    as_of: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Chunk:
    """Some rows of an intake in the order they were counted; `first` is how many came before. Never changed again."""

    id: str
    version: int = 0
    intake: str
    first: int
    rows: list[Row] = field(default_factory=list)

    @classmethod
    def of(cls, intake: Intake) -> "Chunk":
        return cls(id=f"{intake.id}/{intake.responses:012d}", intake=intake.id, first=intake.responses)


@dataclass(slots=True)
class Counting:
    """What one unit of work counts of one intake: the same objects from the first response to the last."""

    intake: Intake
    answers: dict[str, Answers] = field(default_factory=dict)
    chunk: Chunk | None = None
    _places: dict[tuple[tuple[str, ...], str | None], dict[tuple[str, str], tuple[Answers, list[list[int]]]]] = field(
        default_factory=dict
    )
    """Groups and region of a row -> question and answer -> where these are counted: found once, used by thousands."""

    def count(self, row: Row) -> None:
        """One response more, in place; `answers` holds its questions."""
        self.intake.responses = through = self.intake.responses + 1
        places = self._places.get((row.groups, row.region))
        if places is None:
            places = self._places[row.groups, row.region] = {}
        weight, square = row.weight, row.weight * row.weight
        for given in row.answers.items():
            place = places.get(given)
            if place is None:
                question, answer = given
                held = self.answers[question]
                place = places[given] = held, held.integers(answer, row.cells)
            place[0].through = through
            for integers in place[1]:
                integers[0] += 1
                integers[1] += weight
                integers[2] += square
