"""Read a stakeholder."""

from registry.domain.stakeholder import Stakeholder, StakeholderNotFound
from registry.usecases import Id, Unit


async def read_stakeholder(stakeholder_id: Id, unit: Unit) -> Stakeholder:
    """Raises StakeholderNotFound; StakeholderGone where it was erased."""
    stakeholder = await unit.stakeholders.get(stakeholder_id)
    if stakeholder is None:
        raise StakeholderNotFound("there is no stakeholder with this id")
    stakeholder.check_present()
    return stakeholder
