"""What was done, promised and answered: events of the engagement log."""

from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from rapport_events.event import Event, Sealed
from rapport_events.fields import (
    DecisionMaker,
    ExerciseId,
    Id,
    Level,
    Method,
    Region,
    ReplyDue,
    StakeholderId,
    Synthetic,
)

Title = Annotated[Sealed, Field(description="Title of the exercise, sealed under the exercise")]
Participants = Annotated[tuple[StakeholderId, ...], Field(description="Stakeholders who take part")]


class ParticipationLevel(StrEnum):
    """How far others take part (demand D6)."""

    INFORM = "inform"
    CONSULT = "consult"
    INVOLVE = "involve"
    PARTNERSHIP = "partnership"


class Nature(StrEnum):
    """Communication is not engagement; some contacts are both (demand D15)."""

    COMMUNICATION = "communication"
    ENGAGEMENT = "engagement"
    BOTH = "both"


class Mode(StrEnum):
    PROACTIVE = "proactive"
    REACTIVE = "reactive"


class ActivityPlanned(Event):
    """A line of the delivery plan (Annex A), as a version of the plan has it."""

    type = "engagement.activity.planned.v1"
    key = "activity_id"

    activity_id: Annotated[Id, Field(description="Activity of the delivery plan")]
    line: Annotated[str, Field(description="Line of the delivery plan it belongs to, such as 3a")]
    lead_codes: Annotated[tuple[str, ...], Field(description="Codes of the teams that lead it")]
    years: Annotated[tuple[int, ...], Field(description="Years of the plan in which it is due, from 1")]
    tentative_years: Annotated[tuple[int, ...], Field(description="Years in which the plan is not certain of it")] = ()
    plan_version: Annotated[int, Field(ge=1, description="Version of the delivery plan")]


class ExerciseOpened(Event):
    """An engagement exercise opened, with its level of participation and the date of its reply."""

    type = "engagement.exercise.opened.v1"
    key = "exercise_id"

    exercise_id: ExerciseId
    level: Level
    method: Method
    region: Region = None
    decision_maker: DecisionMaker
    reply_due: ReplyDue
    participants: Participants = ()
    title: Title
    synthetic: Synthetic


class PromiseMade(Event):
    """Those who take part were promised what will be done with what they say."""

    type = "engagement.exercise.promise-made.v1"
    key = "exercise_id"

    exercise_id: ExerciseId
    promise: Annotated[Sealed, Field(description="Words of the promise, sealed under the exercise")]
    decision_maker: DecisionMaker
    reply_due: ReplyDue


class ReplyPublished(Event):
    """The decision maker answered those who took part."""

    type = "engagement.exercise.reply-published.v1"
    key = "exercise_id"

    exercise_id: ExerciseId
    title: Title
    reply: Annotated[Sealed, Field(description="Words of the reply, sealed under the exercise")]
    published_on: Annotated[date, Field(description="Day of publication")]
    participants: Participants = ()


class PromiseKept(Event):
    """A reply was published on the day promised or before."""

    type = "engagement.exercise.promise-kept.v1"
    key = "exercise_id"

    exercise_id: ExerciseId
    reply_due: ReplyDue
    kept_on: Annotated[date, Field(description="Day of the reply")]


class PromiseBroken(Event):
    """The day promised passed without a reply."""

    type = "engagement.exercise.promise-broken.v1"
    key = "exercise_id"

    exercise_id: ExerciseId
    title: Title
    reply_due: ReplyDue
    broken_on: Annotated[date, Field(description="Day on which it was found overdue")]
    decision_maker: DecisionMaker


class ContactLogged(Event):
    """One engagement with stakeholders took place."""

    type = "engagement.contact.logged.v1"
    key = "contact_id"

    contact_id: Annotated[Id, Field(description="Contact")]
    stakeholder_ids: Annotated[tuple[StakeholderId, ...], Field(description="Stakeholders who took part")]
    region: Region = None
    level: Level
    nature: Annotated[str, Field(description="communication, engagement, both")]
    mode: Annotated[str, Field(description="proactive, reactive")]
    method: Method
    exercise_id: Annotated[str | None, Field(description="Exercise it was part of")] = None
    held_on: Annotated[date, Field(description="Day on which it took place")]
    notes: Annotated[Sealed | None, Field(description="Notes, sealed under the contact")] = None
    synthetic: Synthetic
