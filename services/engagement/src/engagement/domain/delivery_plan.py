"""The delivery plan and its activities: Annex A of the strategy, and what may follow it."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files

PLAN = "delivery-plan"
"""There is one delivery plan, and this is its id."""

ANNEX_A = "IOPC, Stakeholder engagement strategy 2019-2022, Annex A: Delivery plan"

YEARS = (1, 2, 3)


class PlanNotLoaded(Exception):
    pass


class ActivityUnknown(Exception):
    """No activity of the delivery plan has this id."""


class PlanIncomplete(Exception):
    """What was published as planned does not vanish from the plan by being left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    code: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A line of a plan as written: what, by whom, in which years (from 1)."""

    line: str
    item: str
    activity: str
    leads: tuple[Lead, ...]
    years: tuple[int, ...]
    tentative_years: tuple[int, ...]


@dataclass(slots=True, kw_only=True)
class Activity:
    """A line of the plan that has an identity: its line and its place within it, such as `3a.2`."""

    id: str
    version: int = 0
    planned: Planned
    position: int
    """Place in the whole plan, from 1."""
    plan_version: int
    """Version of the plan that last changed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanVersion:
    number: int
    source: str
    loaded_at: datetime
    loaded_by: str
    changed: tuple[str, ...]
    """Activities that are new or different in it."""


@dataclass(slots=True, kw_only=True)
class DeliveryPlan:
    id: str = PLAN
    version: int = 0
    versions: tuple[PlanVersion, ...] = ()
    """Oldest first; the last is the one in force."""

    @property
    def number(self) -> int:
        return self.versions[-1].number if self.versions else 0


def lead(name: str) -> Lead:
    """A lead with its code: `P&E team` is `p-e-team`."""
    return Lead(code=re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"), name=name)


def with_ids(lines: Iterable[Planned]) -> Iterator[tuple[str, Planned]]:
    """Each line with the id of its activity. A new activity belongs at the end of its line, or others lose theirs."""
    places: Counter[str] = Counter()
    for planned in lines:
        places[planned.line] += 1
        yield f"{planned.line}.{places[planned.line]}", planned


def check_complete(present: Iterable[str], loaded: Iterable[str]) -> None:
    """Raises PlanIncomplete where an activity of the present plan is missing from the one to load."""
    missing = sorted(set(present) - set(loaded))
    if missing:
        raise PlanIncomplete(f"activities of the present plan are missing: {', '.join(missing)}")


@cache
def annex_a() -> tuple[Planned, ...]:
    """The 27 activities of Annex A, in the order of the source."""
    text = files("engagement").joinpath("data/annex_a.csv").read_text(encoding="utf-8")
    return tuple(_planned(row) for row in csv.DictReader(text.splitlines()))


def _planned(row: dict[str, str]) -> Planned:
    marks = {year: row[f"year{year}"] for year in YEARS}
    return Planned(
        line=row["line"],
        item=row["item"],
        activity=row["activity"],
        leads=tuple(lead(name) for name in row["leads"].split(";")),
        years=tuple(year for year, mark in marks.items() if mark == "Y"),
        tentative_years=tuple(year for year, mark in marks.items() if mark == "tbc"),
    )
