"""Keep our copy of a stakeholder the registry tells of."""

from rapport_events.registry import StakeholderFacts

from engagement.domain.stakeholder import Stakeholder
from engagement.usecases import Unit


async def note_stakeholder(event: StakeholderFacts, unit: Unit) -> None:
    """Registered or amended: both carry the facts as they are."""
    stakeholder = await unit.stakeholders.get(event.stakeholder_id) or Stakeholder(id=event.stakeholder_id)
    stakeholder.region = event.region
    stakeholder.synthetic = event.synthetic
    unit.stakeholders.save(stakeholder)
