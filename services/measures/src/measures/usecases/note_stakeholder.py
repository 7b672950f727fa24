"""Keep count of whom the stakeholder survey could ask."""

from rapport_events.registry import StakeholderErased, StakeholderFacts

from measures.domain.population import Populations, Stakeholder
from measures.usecases import Unit


async def note_stakeholder(event: StakeholderFacts, unit: Unit) -> None:
    """Registered or amended: both carry the facts as they are."""
    stakeholder = await unit.stakeholders.get(event.stakeholder_id)
    if stakeholder is None:
        stakeholder = Stakeholder(
            id=event.stakeholder_id, segment=event.segment, category=event.category, synthetic=event.synthetic
        )
        unit.stakeholders.add(stakeholder)
    else:
        (await _populations(stakeholder, unit)).leave(stakeholder)
        stakeholder.segment, stakeholder.category = event.segment, event.category
        stakeholder.synthetic = event.synthetic
        unit.stakeholders.save(stakeholder)
    (await _populations(stakeholder, unit)).enter(stakeholder)


async def forget_stakeholder(event: StakeholderErased, unit: Unit) -> None:
    """One fewer to ask. What they answered stays counted: no figure holds anybody's name."""
    stakeholder = await unit.stakeholders.get(event.stakeholder_id)
    if stakeholder is None:
        return
    (await _populations(stakeholder, unit)).leave(stakeholder)
    unit.stakeholders.remove(stakeholder)


async def _populations(stakeholder: Stakeholder, unit: Unit) -> Populations:
    id_ = Populations.id_of(synthetic=stakeholder.synthetic)
    populations = await unit.populations.get(id_)
    if populations is None:
        populations = Populations(id=id_)
        unit.populations.add(populations)
    unit.populations.save(populations)
    unit.noted_populations.add(id_)
    return populations
