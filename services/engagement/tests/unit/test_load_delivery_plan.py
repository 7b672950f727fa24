"""The plan is loaded once, however often it is sent, and changes by versions."""

import pytest
from engagement.domain.delivery_plan import PlanIncomplete, PlanNotLoaded, annex_a, with_ids
from engagement.usecases.load_delivery_plan import LoadDeliveryPlan, PlanLine, load_delivery_plan
from engagement.usecases.log_contact import log_contact
from engagement.usecases.note_stakeholder import note_stakeholder
from engagement.usecases.read_delivery_plan import read_delivery_plan
from rapport_events.engagement import ActivityPlanned


def lines_of_annex_a(**changes):
    """Annex A as a client would send it; `changes` by activity id."""
    return tuple(
        PlanLine(
            line=planned.line,
            item=planned.item,
            activity=changes.get(id_, planned.activity),
            leads=tuple(lead.name for lead in planned.leads),
            years=planned.years,
            tentative_years=planned.tentative_years,
        )
        for id_, planned in with_ids(annex_a())
    )


async def test_annex_a_has_27_activities_on_14_lines(memory):
    plan = await memory.run(load_delivery_plan, LoadDeliveryPlan())

    assert plan.number == 1
    assert len(plan.versions[0].changed) == 27
    assert len({event.line for event in memory.events}) == 14
    assert {type(event) for event in memory.events} == {ActivityPlanned}


async def test_years_and_leads_are_read_as_the_source_has_them(memory):
    await memory.run(load_delivery_plan, LoadDeliveryPlan())

    tentative = next(event for event in memory.events if event.activity_id == "3a.2")
    assert (tentative.years, tentative.tentative_years) == ((1,), (2, 3))
    later = next(event for event in memory.events if event.activity_id == "1.3")
    assert (later.years, later.tentative_years, later.lead_codes) == ((2, 3), (), ("se-team", "rds"))


@pytest.mark.parametrize("lines", [None, lines_of_annex_a()], ids=["annex-a", "the-same-lines-sent"])
async def test_loading_the_same_plan_again_changes_nothing(memory, lines):
    first = await memory.run(load_delivery_plan, LoadDeliveryPlan())
    version, told = first.version, len(memory.events)

    again = await memory.run(load_delivery_plan, LoadDeliveryPlan(lines=lines, source="Sent again"))

    assert (again.version, again.number, len(memory.events)) == (version, 1, told)


async def test_a_changed_line_makes_a_new_version_of_that_activity_alone(memory):
    await memory.run(load_delivery_plan, LoadDeliveryPlan())
    memory.events.clear()

    lines = lines_of_annex_a(**{"3a.2": "Manage the programme of work and publish it"})
    plan = await memory.run(load_delivery_plan, LoadDeliveryPlan(lines=lines, source="Refresh of year 2"))

    assert [version.number for version in plan.versions] == [1, 2]
    assert (plan.versions[1].source, plan.versions[1].changed) == ("Refresh of year 2", ("3a.2",))
    assert [(event.activity_id, event.plan_version) for event in memory.events] == [("3a.2", 2)]
    state = await read_delivery_plan(None, memory.unit())
    assert {activity.plan_version for activity in state.activities if activity.id != "3a.2"} == {1}


async def test_a_new_activity_at_the_end_of_its_line_leaves_the_others_their_ids(memory):
    await memory.run(load_delivery_plan, LoadDeliveryPlan())

    added = PlanLine(line="13", item="As before", activity="One more", leads=("SE team",), years=(3,))
    plan = await memory.run(load_delivery_plan, LoadDeliveryPlan(lines=(*lines_of_annex_a(), added)))

    assert plan.versions[-1].changed == ("13.4",)


async def test_an_activity_does_not_vanish_by_being_left_out(memory):
    await memory.run(load_delivery_plan, LoadDeliveryPlan())

    with pytest.raises(PlanIncomplete, match=r"13\.3"):
        await memory.run(load_delivery_plan, LoadDeliveryPlan(lines=lines_of_annex_a()[:-1]))


async def test_there_is_nothing_to_read_before_a_plan_is_loaded(memory):
    with pytest.raises(PlanNotLoaded):
        await read_delivery_plan(None, memory.unit())


async def test_contacts_that_name_an_activity_are_its_evidence_and_synthetic_ones_are_apart(
    memory, contact, registered
):
    await memory.consume(registered("made-up", synthetic=True), note_stakeholder)
    await memory.run(load_delivery_plan, LoadDeliveryPlan())
    for participant in ("first", "second", "made-up"):
        await memory.run(log_contact, contact(participants=(participant,), activity_id="4.1"))

    state = await read_delivery_plan(None, memory.unit())

    assert [activity.id for activity in state.activities[:4]] == ["1.1", "1.2", "1.3", "2.1"]
    assert {id_: count for id_, count in state.evidence.items() if count} == {"4.1": 2}
    assert {id_: count for id_, count in state.synthetic_evidence.items() if count} == {"4.1": 1}
