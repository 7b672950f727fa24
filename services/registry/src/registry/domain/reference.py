"""Reference data: landscape, survey segments and the cross-walk between them, regions, groups of low confidence.

All of it is data (`registry/data/reference.json`): another body replaces the file and no code. A code is never reused
or deleted; it gets a last day (`valid_to`) instead, so that a record stays readable in the version it was coded with.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar


class UnknownCode(Exception):
    """A code that the reference data does not have, or not on that day."""


class SubtypeOfAnotherCategory(Exception):
    """Category and subtype contradict each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version of the taxonomy, in force from a day until the next one begins."""

    number: int
    valid_from: date
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A code and what it stands for. `labels` (version -> words) are newer words for the same group (AMB7)."""

    code: str
    label: str
    labels: Mapping[int, str] = field(default_factory=dict)
    source: str = ""
    valid_from: date
    valid_to: date | None = None

    def valid_on(self, day: date) -> bool:
        """First and last day included."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)

    def label_in(self, version: int) -> str:
        """The words that a version of the taxonomy uses for it."""
        known = [number for number in self.labels if number <= version]
        return self.labels[max(known)] if known else self.label


@dataclass(frozen=True, slots=True, kw_only=True)
class Category(Term):
    """A group of the landscape (A1, A2). Who is internal never enters a survey's denominator."""

    internal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Subtype(Term):
    """One of the fifteen (A3). `segment` is the survey segment by cross-walk, None where there is no ground for any."""

    category: str
    segment: str | None = None
    segment_basis: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Landscape:
    """Where a stakeholder stands, in codes that were checked against each other."""

    category: str
    subtype: str | None
    segment: str | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """All reference data, by code."""

    versions: tuple[Version, ...]
    categories: Mapping[str, Category]
    subtypes: Mapping[str, Subtype]
    segments: Mapping[str, Term]
    regions: Mapping[str, Term]
    regions_note: str
    confidence_groups: Mapping[str, Term]

    def version_on(self, day: date) -> Version:
        """The version in force; before the first begins, the first."""
        return max((v for v in self.versions if v.valid_from <= day), key=_begin, default=self.versions[0])

    def landscape(self, category: str, subtype: str | None, day: date) -> Landscape:
        """Code a stakeholder on a day. Raises UnknownCode, SubtypeOfAnotherCategory."""
        _valid(self.categories, category, "category", day)
        segment = None
        if subtype is not None:
            term = _valid(self.subtypes, subtype, "subtype", day)
            if term.category != category:
                raise SubtypeOfAnotherCategory(f"{subtype} is a subtype of {term.category}, not of {category}")
            segment = term.segment
        return Landscape(category=category, subtype=subtype, segment=segment, version=self.version_on(day).number)

    def check_region(self, region: str | None, day: date) -> None:
        """Raises UnknownCode; no region is no error, it is not known."""
        if region is not None:
            _valid(self.regions, region, "region", day)

    def check_groups(self, groups: Iterable[str], day: date) -> None:
        """Raises UnknownCode."""
        for group in groups:
            _valid(self.confidence_groups, group, "confidence group", day)

    def surveyed(self) -> list[str]:
        """Categories outside the body: only they are counted by survey segment (A2)."""
        return [category.code for category in self.categories.values() if not category.internal]


T = TypeVar("T", bound=Term)


def _begin(version: Version) -> date:
    return version.valid_from


def _valid(terms: Mapping[str, T], code: str, what: str, day: date) -> T:
    term = terms.get(code)
    if term is None or not term.valid_on(day):
        known = ", ".join(t.code for t in terms.values() if t.valid_on(day))
        raise UnknownCode(f"unknown {what}: one of {known}")
    return term


@cache
def reference() -> Reference:
    """The reference data of this release."""
    return parse(json.loads(files("registry").joinpath("data/reference.json").read_text(encoding="utf-8")))


def parse(data: Mapping[str, Any]) -> Reference:
    """Reference data as it stands in the file. Raises KeyError, ValueError for data that does not fit together."""
    versions = tuple(
        Version(**{**version, "valid_from": date.fromisoformat(version["valid_from"])}) for version in data["versions"]
    )
    begin = min(version.valid_from for version in versions)

    def common(entry: Mapping[str, Any]) -> dict[str, Any]:
        until = entry.get("valid_to")
        return {
            "code": entry["code"],
            "label": entry["label"],
            "labels": {int(number): label for number, label in entry.get("labels", {}).items()},
            "source": entry.get("source", ""),
            "valid_from": date.fromisoformat(entry["valid_from"]) if "valid_from" in entry else begin,
            "valid_to": date.fromisoformat(until) if until else None,
        }

    crosswalk = {line["subtype"]: line for line in data["crosswalk"]}
    categories = [Category(**common(entry), internal=entry["internal"]) for entry in data["categories"]]
    subtypes = [
        Subtype(
            **common(entry),
            category=entry["category"],
            segment=crosswalk.get(entry["code"], {}).get("segment"),
            segment_basis=crosswalk.get(entry["code"], {}).get("basis", ""),
        )
        for entry in data["subtypes"]
    ]
    found = Reference(
        versions=versions,
        categories=_by_code(categories),
        subtypes=_by_code(subtypes),
        segments=_by_code([Term(**common(entry)) for entry in data["segments"]]),
        regions=_by_code([Term(**common(entry)) for entry in data["regions"]]),
        regions_note=data.get("regions_note", ""),
        confidence_groups=_by_code([Term(**common(entry)) for entry in data["confidence_groups"]]),
    )
    _check(found, crosswalk)
    return found


def _by_code(terms: Iterable[T]) -> dict[str, T]:
    found: dict[str, T] = {}
    for term in terms:
        if term.code in found:
            raise ValueError(f"{term.code} is there twice")
        found[term.code] = term
    return found


def _check(found: Reference, crosswalk: Mapping[str, Mapping[str, str]]) -> None:
    for subtype in found.subtypes.values():
        if subtype.category not in found.categories:
            raise ValueError(f"{subtype.code} is of no category")
    for code, line in crosswalk.items():
        if code not in found.subtypes or line["segment"] not in found.segments:
            raise ValueError(f"the cross-walk of {code} leads nowhere")
