"""Read a stakeholder; of one that was erased, what is left."""

from registry.domain.stakeholder import Stakeholder, StakeholderNotFound
from registry.usecases import Id, Unit


async def read_stakeholder(stakeholder_id: Id, unit: Unit) -> Stakeholder:
    """Raises StakeholderNotFound."""
    stakeholder = await unit.stakeholders.get(stakeholder_id)
    if stakeholder is None:
        raise StakeholderNotFound("there is no stakeholder with this id")
    return stakeholder
