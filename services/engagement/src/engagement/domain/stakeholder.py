"""Our own copy of what the registry says of a stakeholder: that it exists, and no more than is needed here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class UnknownParticipants(Exception):
    """The registry has not told us of them: either it does not know them, or its news is still on the way."""


class ErasedParticipants(Exception):
    """They were erased at their own wish: nothing new is recorded about them."""


class MixedData(Exception):
    """Synthetic and real data would meet in one record."""


@dataclass(slots=True, kw_only=True)
class Stakeholder:
    """A copy; the registry owns the facts. There is no stance in it: it decides nothing here (demand A5)."""

    id: str
    version: int = 0
    region: str | None = None
    synthetic: bool = False
    erased: bool = False


def check_participants(wanted: Sequence[str], known: Sequence[Stakeholder]) -> None:
    """Raises UnknownParticipants or ErasedParticipants, naming their places: what stands there may be anybody's name."""
    there = {stakeholder.id: stakeholder for stakeholder in known}
    unknown = [f"/participants/{place}" for place, id_ in enumerate(wanted) if id_ not in there]
    if unknown:
        raise UnknownParticipants(f"not known here, or not yet: {', '.join(unknown)}")
    erased = [f"/participants/{place}" for place, id_ in enumerate(wanted) if there[id_].erased]
    if erased:
        raise ErasedParticipants(f"erased: {', '.join(erased)}")


def synthetic_of(declared: bool | None, sources: Iterable[bool]) -> bool:  # noqa: FBT001 - a flag is what it is about
    """Whether a record is synthetic, as all it is made from must be or none. Raises MixedData.

    `declared` is what the caller says, None for nothing; a record made from nothing and not declared is real.
    """
    flags = {*sources, *([] if declared is None else [declared])}
    if len(flags) > 1:
        raise MixedData("synthetic and real data are never mixed in one record")
    return flags == {True}


def shared_region(participants: Sequence[Stakeholder]) -> str | None:
    """The region where all of them are, None where they differ or one is not known."""
    regions = {stakeholder.region for stakeholder in participants}
    return regions.pop() if len(regions) == 1 else None
