"""Why a figure is what it is: counted again from the answers themselves, equal to the last bit or the difference named."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields

from measures.domain.cells import Cells, Tally


@dataclass(frozen=True, slots=True)
class Counted:
    """One answer in the journal: the event that brought it, its code, its weight in 1/10,000."""

    event: str
    code: str
    weight: int


@dataclass(frozen=True, slots=True)
class Departure:
    """An integer of the read model that the journal does not confirm."""

    name: str
    held: int
    recounted: int


@dataclass(frozen=True, slots=True)
class Recount:
    """`events` are the ids in the base, in the order given; `departures` is empty where both agree."""

    held: Cells
    recounted: Cells
    events: tuple[str, ...]
    departures: tuple[Departure, ...]

    @property
    def agrees(self) -> bool:
        return not self.departures


def recount(
    held: Cells, answers: Iterable[Counted], counts: Collection[str], left_out: Collection[str] = ()
) -> Recount:
    """Folds the answers anew and compares with what the read model holds. Raises InvalidWeight."""
    tallies: dict[str, Tally] = {}
    events = []
    for answer in answers:
        tallies[answer.code] = tallies.get(answer.code, Tally()) + Tally.one(answer.weight)
        if answer.code not in left_out:
            events.append(answer.event)
    fresh = Cells.of(tallies, counts, left_out)
    departures = tuple(
        Departure(each.name, getattr(held, each.name), getattr(fresh, each.name))
        for each in fields(Cells)
        if getattr(held, each.name) != getattr(fresh, each.name)
    )
    return Recount(held, fresh, tuple(events), departures)
