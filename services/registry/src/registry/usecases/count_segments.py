"""Count stakeholders per survey segment, and list whom the cross-walk leaves without one."""

from dataclasses import dataclass

from rapport_ports import Command

from registry.domain.reference import reference
from registry.usecases import Unit


class CountSegments(Command):
    """Synthetic data never mix with real figures: one or the other is counted."""

    synthetic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmapped:
    """Stakeholders without a segment, by where they stand in the landscape."""

    category: str
    subtype: str | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentCounts:
    synthetic: bool
    counts: dict[str, int]
    unmapped: tuple[Unmapped, ...]


async def count_segments(question: CountSegments, unit: Unit) -> SegmentCounts:
    """Whoever was erased is not counted, and staff never is (A2)."""
    known = reference()
    present = {"erased_on": None, "synthetic": question.synthetic}
    surveyed = {"in": known.surveyed()}
    counts = {
        segment: await unit.stakeholders.count({**present, "segment": segment, "category": surveyed})
        for segment in known.segments
    }
    unmapped = []
    for category in known.surveyed():
        subtypes = [subtype.code for subtype in known.subtypes.values() if subtype.category == category]
        for subtype in (*subtypes, None):
            place = {"segment": None, "category": category, "subtype": subtype}
            count = await unit.stakeholders.count({**present, **place})
            if count:
                unmapped.append(Unmapped(category=category, subtype=subtype, count=count))
    return SegmentCounts(synthetic=question.synthetic, counts=counts, unmapped=tuple(unmapped))
