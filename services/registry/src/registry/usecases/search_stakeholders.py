"""Find stakeholders by where they stand and by the beginnings of their names."""

from pydantic import Field
from rapport_ports import Command

from registry.domain.name import sought
from registry.domain.stakeholder import Stakeholder
from registry.rights import check_search_by_name
from registry.usecases import Code, Id, StakeholderKind, Unit

UNMAPPED = "unmapped"
"""Instead of a survey segment: those for whom the cross-walk has none."""


class SearchStakeholders(Command):
    """All that is named must fit."""

    region: Code | None = None
    category: Code | None = None
    subtype: Code | None = None
    segment: Code | None = Field(
        default=None, description=f"A survey segment, or {UNMAPPED}: no segment, never guessed"
    )
    kind: StakeholderKind | None = None
    synthetic: bool | None = None
    name: str | None = Field(
        default=None, max_length=200, description="Beginnings of words, 2 to 12 letters each; all must fit"
    )
    after: Id | None = Field(default=None, description="The last one of the page before")
    limit: int = Field(default=50, ge=1)


async def search_stakeholders(question: SearchStakeholders, unit: Unit) -> list[Stakeholder]:
    """In the order they were registered; nobody who was erased. Raises NameTooShort, IdentitiesHidden."""
    if question.name is not None:
        check_search_by_name(unit.caller)
    where = question.model_dump(
        mode="json", exclude_none=True, include={"region", "category", "subtype", "segment", "kind", "synthetic"}
    )
    where["erased_on"] = None
    if question.segment == UNMAPPED:
        where["segment"] = None
    wanted = [unit.blind(f"name:{word}") for word in sought(question.name)] if question.name is not None else []
    if wanted:
        where["name_index"] = wanted[0]  # the longest word, which the fewest have
    found: list[Stakeholder] = []
    after = question.after
    while len(found) < question.limit:
        page = await unit.stakeholders.find(where, after=(after,) if after else None, limit=question.limit)
        found += [stakeholder for stakeholder in page if set(wanted) <= set(stakeholder.name_index)]
        if len(page) < question.limit:
            break
        after = page[-1].id
    return found[: question.limit]
