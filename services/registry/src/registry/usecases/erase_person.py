"""Erase a stakeholder, a person above all: its key is destroyed, and with it every copy of its words everywhere."""

from rapport_events.registry import StakeholderErased

from registry.domain.stakeholder import Stakeholder, StakeholderNotFound
from registry.usecases import Id, Unit, day_of


async def erase_person(stakeholder_id: Id, unit: Unit) -> Stakeholder:
    """What is left of it. Erasing twice changes nothing and tells nothing. Raises StakeholderNotFound."""
    stakeholder = await unit.stakeholders.get(stakeholder_id)
    if stakeholder is None:
        raise StakeholderNotFound("there is no stakeholder with this id")
    if stakeholder.erased_on is not None:
        return stakeholder
    if stakeholder.reference_index is not None:
        reference = await unit.references.get(stakeholder.reference_index)
        if reference is not None:
            unit.references.remove(reference)
    today = day_of(unit.now)
    stakeholder.erase(today)
    unit.stakeholders.save(stakeholder)
    unit.erase(stakeholder.id)
    unit.emit(StakeholderErased(stakeholder_id=stakeholder.id, erased_on=today))
    return stakeholder
