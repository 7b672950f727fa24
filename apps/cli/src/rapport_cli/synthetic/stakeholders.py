"""Synthetic stakeholders: no name, address or place in here belongs to anybody."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

COLUMNS = (
    "reference",
    "kind",
    "name",
    "email",
    "category",
    "subtype",
    "region",
    "confidence_groups",
    "synthetic",
    "consents",
)


@dataclass(frozen=True, slots=True)
class Lot:
    """So many stakeholders of one place in the landscape."""

    count: int
    kind: str
    category: str
    subtype: str


LOTS = (
    Lot(100, "organisation", "statutory", "police"),
    Lot(150, "organisation", "statutory", "police-accountability"),
    Lot(300, "organisation", "non-statutory", "voluntary-and-advocacy"),
    Lot(25, "person", "statutory", "parliamentarians"),
    Lot(15, "community", "public", "low-confidence-groups"),
    Lot(10, "organisation", "media", ""),
)
"""The first three are the segments of the stakeholder survey, the others belong to none."""

REGIONS = ("london", "midlands", "north-east", "north-west", "south-east", "wales")


def rows() -> Iterator[dict[str, str]]:
    """Every synthetic stakeholder as a row of the registry's import; always the same ones."""
    number = 0
    for lot in LOTS:
        for _ in range(lot.count):
            number += 1
            yield {
                "reference": f"synthetic-{number:04d}",
                "kind": lot.kind,
                "name": f"Synthetic {lot.kind} {number:04d}",
                "email": f"synthetic-{number:04d}@example.org",
                "category": lot.category,
                "subtype": lot.subtype,
                "region": REGIONS[number % len(REGIONS)],
                "confidence_groups": "young-18-24" if lot.subtype == "low-confidence-groups" else "",
                "synthetic": "true",
                "consents": "updates:email",
            }


def as_csv() -> str:
    """The rows with their header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows())
    return text.getvalue()
