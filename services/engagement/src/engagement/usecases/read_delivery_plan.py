"""Read the delivery plan with the evidence that was logged for each activity."""

from dataclasses import dataclass

from engagement.domain.delivery_plan import PLAN, Activity, DeliveryPlan, PlanNotLoaded
from engagement.usecases import Unit


@dataclass(frozen=True, slots=True)
class PlanState:
    plan: DeliveryPlan
    activities: tuple[Activity, ...]
    """In the order of the plan."""
    evidence: dict[str, int]
    """Contacts that name the activity, by its id; synthetic ones are not evidence of a real plan and counted apart."""
    synthetic_evidence: dict[str, int]

    @property
    def id(self) -> str:
        return self.plan.id

    @property
    def version(self) -> int:
        return self.plan.version


async def read_delivery_plan(_: None, unit: Unit) -> PlanState:
    """The same for all who may read it: the plan is everybody's, and numbers say nothing of a contact.

    Raises PlanNotLoaded.
    """
    plan = await unit.plans.get(PLAN)
    if plan is None:
        raise PlanNotLoaded("no delivery plan has been loaded")
    activities = await unit.activities.find({}, sort="position")

    async def evidence(*, synthetic: bool) -> dict[str, int]:
        return {
            activity.id: await unit.contacts.count({"activity_id": activity.id, "synthetic": synthetic}, whole=True)
            for activity in activities
        }

    return PlanState(plan, tuple(activities), await evidence(synthetic=False), await evidence(synthetic=True))
