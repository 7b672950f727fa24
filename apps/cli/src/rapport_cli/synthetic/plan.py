"""What a wave shall find, said in shares; `responses` makes the people who say exactly that."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

FIELD_DAYS = 60

NOBODY = ""
"""The people who belong to none of the groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a question shall find. Shares are per cent, as text.

    Attributes:
        groups: share of each group.
        everyone: share of all; the people in no group make up for it. None: it follows from the groups.
        regions: points by which a region shall differ from all; the others balance it.
        bases: how many of a group give an answer that is in the base, where that is not everybody in it.
        not_put_to: groups that were not asked.
    """

    groups: Mapping[str, str] = field(default_factory=dict)
    everyone: str | None = None
    regions: Mapping[str, int] = field(default_factory=dict)
    bases: Mapping[str, int] = field(default_factory=dict)
    not_put_to: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class WavePlan:
    """A wave: how many people of which group answer, in equal numbers from every region, and what they shall say."""

    instrument: str
    version: int = 1
    ordinal: int
    year: int
    people: Mapping[str, int]
    regions: tuple[str, ...] = ()
    questions: Mapping[str, Asked]
    stays_open: bool = False

    @property
    def size(self) -> int:
        return sum(self.people.values())

    @property
    def name(self) -> str:
        return f"{self.instrument} {self.ordinal}"

    @property
    def starts_on(self) -> date:
        """In the autumn of its year; the strategy's first year began in 2019."""
        return date(2018 + self.year, 10, 1)

    @property
    def ends_on(self) -> date:
        return self.starts_on + timedelta(days=FIELD_DAYS)
