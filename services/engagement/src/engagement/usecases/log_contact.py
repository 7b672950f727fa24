"""Log a contact with stakeholders."""

from typing import Annotated

from pydantic import Field, StringConstraints
from rapport_events.engagement import ContactLogged
from rapport_events.event import Sealed
from rapport_ports import FROM_JSON, Command, Day

from engagement.domain.contact import Contact, check_held, subject_of, team_of
from engagement.domain.delivery_plan import ActivityUnknown
from engagement.domain.exercise import Exercise, ExerciseUnknown
from engagement.domain.participation import Level, Method, Mode, Nature
from engagement.domain.stakeholder import check_participants, shared_region, synthetic_of
from engagement.usecases import MOST_PARTICIPANTS, Code, Id, Ids, Unit

Subject = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]+$", max_length=255)]
"""Of a token: as OpenID Connect Core has it, ASCII and no longer than 255."""


class Case(Command):
    """An individual case: whoever is not of its team does not see that there is a contact (demand B14)."""

    case_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", max_length=64)]
    team: Annotated[tuple[Subject, ...], FROM_JSON] = Field(
        default=(), max_length=100, description="Subjects of the team's tokens; whoever logs the contact belongs to it"
    )


class LogContact(Command):
    participants: Ids = Field(min_length=1, max_length=MOST_PARTICIPANTS, description="Stakeholders who took part")
    region: Code | None = Field(default=None, description="Absent: the participants' own, where they share one")
    level: Annotated[Level, FROM_JSON]
    nature: Annotated[Nature, FROM_JSON]
    mode: Annotated[Mode, FROM_JSON]
    method: Annotated[Method, FROM_JSON]
    held_on: Day = Field(description="Day on which it took place, not in the future")
    notes: Annotated[str, StringConstraints(min_length=1, max_length=20_000)] | None = Field(
        default=None, description="Sealed: erased with the participant, or with the last of several"
    )
    exercise_id: Id | None = Field(default=None, description="Exercise it was part of")
    activity_id: Id | None = Field(default=None, description="Activity of the delivery plan it is evidence for")
    case: Case | None = Field(default=None, description="For contacts that belong to an individual case")
    synthetic: bool | None = Field(default=None, description="Absent: as the participants are")


async def log_contact(command: LogContact, unit: Unit) -> Contact:
    """Of a contact that belongs to a case the event tells neither who took part nor what it was about: it is counted.

    Raises UnknownParticipants, ErasedParticipants, ExerciseUnknown, ActivityUnknown, ImpossibleDate, MixedData, OutOfReach.
    """
    check_held(command.held_on, unit.now)
    participants = await unit.stakeholders.find({"id": {"in": command.participants}})
    check_participants(command.participants, participants)
    exercise = await _exercise(command.exercise_id, unit)
    if command.activity_id is not None and await unit.activities.get(command.activity_id) is None:
        raise ActivityUnknown("the delivery plan has no such activity")
    sources = [participant.synthetic for participant in participants]
    synthetic = synthetic_of(command.synthetic, [*sources, exercise.synthetic] if exercise else sources)
    id_ = unit.new_id()
    contact = Contact(
        id=id_,
        subject=subject_of(id_, command.participants),
        participants=command.participants,
        region=command.region or shared_region(participants),
        level=command.level,
        nature=command.nature,
        mode=command.mode,
        method=command.method,
        held_on=command.held_on,
        notes=command.notes,
        exercise_id=command.exercise_id,
        activity_id=command.activity_id,
        synthetic=synthetic,
        logged_at=unit.now,
        logged_by=unit.actor,
        case_id=command.case.case_id if command.case else None,
        team=team_of(command.case.team, unit.actor) if command.case else None,
    )
    unit.contacts.add(contact)
    open_ = contact.team is None
    unit.emit(
        ContactLogged(
            contact_id=contact.id,
            stakeholder_ids=contact.participants if open_ else (),
            region=contact.region,
            level=contact.level,
            nature=contact.nature,
            mode=contact.mode,
            method=contact.method,
            exercise_id=contact.exercise_id if open_ else None,
            held_on=contact.held_on,
            notes=Sealed.of(contact.subject, contact.notes) if open_ and contact.notes is not None else None,
            synthetic=contact.synthetic,
        ),
    )
    return contact


async def _exercise(id_: str | None, unit: Unit) -> Exercise | None:
    if id_ is None:
        return None
    exercise = await unit.exercises.get(id_)
    if exercise is None:
        raise ExerciseUnknown("there is no such exercise")
    return exercise
