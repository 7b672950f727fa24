"""What may be logged, under whose key its notes are sealed, and what is told."""

from datetime import UTC, date, datetime

import pytest
from engagement.domain.calendar import ImpossibleDate
from engagement.domain.contact import ContactNotFound
from engagement.domain.delivery_plan import ActivityUnknown
from engagement.domain.exercise import ExerciseUnknown
from engagement.domain.participation import Level, Nature
from engagement.domain.stakeholder import ErasedParticipants, MixedData, UnknownParticipants
from engagement.usecases.forget_stakeholder import forget_stakeholder
from engagement.usecases.list_contacts import ListContacts, list_contacts
from engagement.usecases.log_contact import LogContact, log_contact
from engagement.usecases.note_stakeholder import note_stakeholder
from engagement.usecases.open_exercise import open_exercise
from engagement.usecases.read_contact import read_contact
from engagement.usecases.read_notes import read_notes
from pydantic import ValidationError
from rapport_events.engagement import ContactLogged


async def test_a_contact_is_kept_and_told(memory, contact):
    logged = await memory.run(log_contact, contact(region="north-west", notes="Example notes"))

    (event,) = memory.events
    assert isinstance(event, ContactLogged)
    assert event.aggregate_id() == logged.id
    assert (event.region, event.level, event.nature, event.synthetic) == ("north-west", "consult", "engagement", False)
    read = await read_contact(logged.id, memory.unit())
    assert (read.notes, read.logged_by, read.logged_at) == ("Example notes", "tester", memory.now)


@pytest.mark.parametrize(
    ("participants", "of_the_stakeholder"), [(("first",), True), (("first", "second"), False)], ids=["one", "several"]
)
async def test_notes_are_sealed_under_the_one_they_are_about(memory, contact, participants, of_the_stakeholder):
    logged = await memory.run(log_contact, contact(participants=participants, notes="Example notes"))

    subject = "first" if of_the_stakeholder else logged.id
    assert memory.events[0].notes.subject == subject
    stored = memory.documents.collections["contacts"][logged.id]
    assert stored["subject"] == subject
    assert "Example notes" not in str(stored)
    assert "Example notes" not in str(memory.journal)


async def test_the_region_is_taken_from_participants_who_share_one(memory, contact, registered):
    await memory.consume(registered("elsewhere", region="london"), note_stakeholder)

    shared = await memory.run(log_contact, contact(participants=("first", "second")))
    differing = await memory.run(log_contact, contact(participants=("first", "elsewhere")))

    assert (shared.region, differing.region) == ("wales", None)


async def test_an_amendment_moves_our_copy(memory, contact, registered):
    await memory.consume(registered("first", region="london"), note_stakeholder)

    assert (await memory.run(log_contact, contact())).region == "london"


async def test_participants_the_registry_has_not_told_of_are_named(memory, contact):
    with pytest.raises(UnknownParticipants, match=r"not known here, or not yet: /participants/0, /participants/2$"):
        await memory.run(log_contact, contact(participants=("other", "first", "nobody")))
    assert memory.events == []


async def test_nothing_new_is_recorded_about_the_erased(memory, contact, erased, registered):
    await memory.consume(erased("first"), forget_stakeholder)
    await memory.consume(registered("first"), note_stakeholder)  # a late copy brings nobody back

    with pytest.raises(ErasedParticipants, match=r"erased: /participants/0$"):
        await memory.run(log_contact, contact())


@pytest.mark.parametrize(
    ("declared", "participants"),
    [(None, ("first", "made-up")), (True, ("first",)), (False, ("made-up",))],
    ids=["participants-differ", "declared-synthetic", "declared-real"],
)
async def test_synthetic_and_real_are_never_mixed(memory, contact, registered, declared, participants):
    await memory.consume(registered("made-up", synthetic=True), note_stakeholder)

    with pytest.raises(MixedData):
        await memory.run(log_contact, contact(participants=participants, synthetic=declared))


async def test_a_contact_of_a_real_exercise_is_real(memory, contact, exercise, registered):
    await memory.consume(registered("made-up", synthetic=True), note_stakeholder)
    opened = await memory.run(open_exercise, exercise())

    with pytest.raises(MixedData):
        await memory.run(log_contact, contact(participants=("made-up",), exercise_id=opened.id))


async def test_a_synthetic_participant_makes_the_contact_synthetic(memory, contact, registered):
    await memory.consume(registered("made-up", synthetic=True), note_stakeholder)

    assert (await memory.run(log_contact, contact(participants=("made-up",)))).synthetic
    assert memory.events[-1].synthetic


async def test_a_contact_may_name_only_what_exists(memory, contact):
    with pytest.raises(ExerciseUnknown):
        await memory.run(log_contact, contact(exercise_id="none"))
    with pytest.raises(ActivityUnknown):
        await memory.run(log_contact, contact(activity_id="99.1"))


async def test_a_contact_is_not_logged_ahead_of_its_day_in_london(memory, contact):
    memory.now = datetime(2019, 6, 3, 22, 59, tzinfo=UTC)  # 23:59 in London
    with pytest.raises(ImpossibleDate):
        await memory.run(log_contact, contact(held_on=date(2019, 6, 4)))
    memory.now = datetime(2019, 6, 3, 23, tzinfo=UTC)  # midnight in London
    await memory.run(log_contact, contact(held_on=date(2019, 6, 4)))


@pytest.mark.parametrize(
    "changes",
    [
        {"participants": ()},
        {"participants": ("first", "first")},
        {"level": "command"},
        {"held_on": 1_559_520_000},
        {"held_on": "2019-W23-1"},
        {"region": "Not A Code"},
        {"notes": ""},
        {"stance": "critic"},
    ],
    ids=["nobody", "twice", "no-level", "a-number-for-a-day", "a-week", "region", "empty-notes", "a-stance"],
)
def test_what_is_no_contact_is_refused(contact, changes):
    with pytest.raises(ValidationError):
        contact(**changes)


def test_json_is_read_strictly():
    json = (
        '{"participants": ["first"], "level": "inform", "nature": "communication", "mode": "reactive",'
        ' "method": "digital", "held_on": "2019-06-03"}'
    )
    assert LogContact.model_validate_json(json).nature is Nature.COMMUNICATION


async def test_contacts_are_listed_newest_first_page_by_page(memory, contact):
    ids = [(await memory.run(log_contact, contact(level=level))).id for level in (Level.INFORM, *[Level.CONSULT] * 3)]

    page = await list_contacts(ListContacts(level=Level.CONSULT, limit=2), memory.unit())
    assert [found.id for found in page] == [ids[3], ids[2]]
    rest = await list_contacts(ListContacts(level=Level.CONSULT, limit=2, before=(ids[2],)), memory.unit())
    assert [found.id for found in rest] == [ids[1]]
    assert len(await list_contacts(ListContacts(participant="first"), memory.unit())) == 4
    assert await list_contacts(ListContacts(participant="second"), memory.unit()) == []


async def test_an_unknown_contact_is_not_found(memory):
    with pytest.raises(ContactNotFound):
        await read_contact("none", memory.unit())


async def test_notes_about_one_are_unreadable_once_the_registry_has_destroyed_the_key(memory, contact):
    logged = await memory.run(log_contact, contact(notes="Example notes"))
    memory.keyring.documents["first"] = memory.keyring.tombstone("first")
    memory.keyring.forget("first")

    assert (await read_notes(logged.id, memory.unit())).notes == "erased"


async def test_notes_are_withheld_from_the_moment_we_hear_of_the_erasure(memory, contact, erased):
    """A key may be cached for a minute; the copy of the fact is quicker."""
    logged = await memory.run(log_contact, contact(notes="Example notes"))
    await memory.consume(erased("first"), forget_stakeholder)

    assert (await read_notes(logged.id, memory.unit())).notes == "erased"


async def test_notes_about_several_go_with_the_last_of_them(memory, contact, erased):
    logged = await memory.run(log_contact, contact(participants=("first", "second"), notes="Example notes"))

    await memory.consume(erased("first"), forget_stakeholder)
    assert (await read_notes(logged.id, memory.unit())).notes == "Example notes"
    await memory.consume(erased("second"), forget_stakeholder)
    assert (await read_notes(logged.id, memory.unit())).notes == "erased"
    assert memory.keyring.documents[logged.id] == memory.keyring.tombstone(logged.id)


async def test_no_notes_are_no_notes(memory, contact, erased):
    logged = await memory.run(log_contact, contact())
    await memory.consume(erased("first"), forget_stakeholder)

    assert (await read_notes(logged.id, memory.unit())).notes is None
