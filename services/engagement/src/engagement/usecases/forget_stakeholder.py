"""Forget a stakeholder that was erased."""

from rapport_events.registry import StakeholderErased

from engagement.domain.stakeholder import Stakeholder
from engagement.usecases import Unit


async def forget_stakeholder(event: StakeholderErased, unit: Unit) -> None:
    """Nothing new is recorded about them, and no notes about them can be read any more.

    Notes about them alone are sealed under their own key, which the registry destroyed. Notes about several people are
    sealed under the contact, whose key is ours: it goes with the last of them.
    """
    unit.forget(event.stakeholder_id)
    stakeholder = await unit.stakeholders.get(event.stakeholder_id) or Stakeholder(id=event.stakeholder_id)
    stakeholder.erased = True
    stakeholder.region = None
    unit.stakeholders.save(stakeholder)
    for contact in await unit.contacts.find({"participants": event.stakeholder_id}):
        if contact.subject == contact.id and await _all_erased(contact.participants, unit):
            unit.erase(contact.id)


async def _all_erased(participants: tuple[str, ...], unit: Unit) -> bool:
    for id_ in participants:
        stakeholder = await unit.stakeholders.get(id_)
        if stakeholder is None or not stakeholder.erased:
            return False
    return True
