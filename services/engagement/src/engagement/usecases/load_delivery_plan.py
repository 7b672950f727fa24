"""Load the delivery plan, or a later version of it."""

from typing import Annotated

from pydantic import Field, StringConstraints
from rapport_events.engagement import ActivityPlanned
from rapport_ports import FROM_JSON, Command

from engagement.domain.delivery_plan import (
    ANNEX_A,
    PLAN,
    Activity,
    DeliveryPlan,
    Planned,
    PlanVersion,
    annex_a,
    check_complete,
    lead,
    with_ids,
)
from engagement.usecases import Unit

Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Years = Annotated[tuple[Annotated[int, Field(ge=1, le=10)], ...], FROM_JSON, Field(max_length=10)]


class PlanLine(Command):
    """One activity of a plan."""

    line: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,3}[a-z]?$")] = Field(description="Such as 3a")
    item: Text = Field(description="Heading of the line")
    activity: Text = Field(description="What is to be done")
    leads: Annotated[tuple[Name, ...], FROM_JSON] = Field(
        min_length=1, max_length=20, description="Teams that lead it, never persons"
    )
    years: Years = Field(default=(), description="Years of the plan in which it is due, from 1")
    tentative_years: Years = Field(default=(), description="Years in which the plan is not certain of it")


class LoadDeliveryPlan(Command):
    """The whole plan: an activity keeps its id by its line and its place within it, so new ones go to the end."""

    source: Text = Field(default=ANNEX_A, description="Where the lines are from")
    lines: Annotated[tuple[PlanLine, ...], FROM_JSON] | None = Field(
        default=None, min_length=1, max_length=500, description="Absent: the 27 activities of Annex A"
    )


async def load_delivery_plan(command: LoadDeliveryPlan, unit: Unit) -> DeliveryPlan:
    """The plan as it is now. Loading what is loaded already changes nothing; a different line makes a new version.

    Raises PlanIncomplete where an activity of the present plan is missing.
    """
    plan = await unit.plans.get(PLAN) or DeliveryPlan()
    present = {activity.id: activity for activity in await unit.activities.find({})}
    loaded = dict(with_ids(_planned(command)))
    check_complete(present, loaded)
    number = plan.number + 1
    changed = []
    for position, (id_, planned) in enumerate(loaded.items(), start=1):
        known = present.get(id_)
        if known is not None and (known.planned, known.position) == (planned, position):
            continue
        activity = known or Activity(id=id_, planned=planned, position=position, plan_version=number)
        activity.planned, activity.position, activity.plan_version = planned, position, number
        unit.activities.save(activity)
        unit.emit(
            ActivityPlanned(
                activity_id=id_,
                line=planned.line,
                lead_codes=tuple(lead.code for lead in planned.leads),
                years=planned.years,
                tentative_years=planned.tentative_years,
                plan_version=number,
            ),
        )
        changed.append(id_)
    if changed:
        version = PlanVersion(
            number=number, source=command.source, loaded_at=unit.now, loaded_by=unit.actor, changed=tuple(changed)
        )
        plan.versions = (*plan.versions, version)
        unit.plans.save(plan)
    return plan


def _planned(command: LoadDeliveryPlan) -> tuple[Planned, ...]:
    if command.lines is None:
        return annex_a()
    return tuple(
        Planned(
            line=line.line,
            item=line.item,
            activity=line.activity,
            leads=tuple(lead(name) for name in line.leads),
            years=line.years,
            tentative_years=line.tentative_years,
        )
        for line in command.lines
    )
