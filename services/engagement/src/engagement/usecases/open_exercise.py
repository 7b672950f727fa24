"""Open an engagement exercise, and make its promise."""

from typing import Annotated

from pydantic import Field, StringConstraints
from rapport_events.engagement import ExerciseOpened, PromiseMade
from rapport_events.event import Sealed
from rapport_ports import FROM_JSON, Command, Day

from engagement.domain.calendar import day_of
from engagement.domain.exercise import Exercise, check_dates, check_promise
from engagement.domain.participation import Level, Method, Role
from engagement.domain.stakeholder import check_participants, synthetic_of
from engagement.usecases import MOST_PARTICIPANTS, Code, Ids, Unit


class OpenExercise(Command):
    title: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    level: Annotated[Level, FROM_JSON] = Field(
        description="How far participants take part: said up front, so that they can choose"
    )
    method: Annotated[Method, FROM_JSON]
    promise: Annotated[str, StringConstraints(min_length=1, max_length=5_000)] = Field(
        description="The decision maker's clear statement of what can change and what cannot"
    )
    organiser: Annotated[Role, FROM_JSON] = Role.ENGAGEMENT_TEAM
    decision_maker: Annotated[Role, FROM_JSON] = Field(
        description="Whose promise it is: a role, and another than the organiser"
    )
    reply_due: Day = Field(description="Day by which the reply is promised, after the day of opening")
    opened_on: Day | None = Field(default=None, description="Absent: today; in the past where it is recorded late")
    region: Code | None = None
    participants: Ids = Field(default=(), max_length=MOST_PARTICIPANTS)
    synthetic: bool | None = Field(default=None, description="Absent: as the participants are")


async def open_exercise(command: OpenExercise, unit: Unit) -> Exercise:
    """Raises OrganiserDecides, ImpossibleDate, UnknownParticipants, ErasedParticipants, MixedData, OutOfReach."""
    check_promise(command.organiser, command.decision_maker)
    opened_on = command.opened_on or day_of(unit.now)
    check_dates(opened_on, command.reply_due, unit.now)
    participants = await unit.stakeholders.find({"id": {"in": command.participants}})
    check_participants(command.participants, participants)
    exercise = Exercise(
        id=unit.new_id(),
        title=command.title,
        level=command.level,
        method=command.method,
        region=command.region,
        participants=command.participants,
        organiser=command.organiser,
        decision_maker=command.decision_maker,
        promise=command.promise,
        reply_due=command.reply_due,
        opened_on=opened_on,
        synthetic=synthetic_of(command.synthetic, [participant.synthetic for participant in participants]),
        recorded_at=unit.now,
        recorded_by=unit.actor,
    )
    unit.exercises.add(exercise)
    unit.emit(
        ExerciseOpened(
            exercise_id=exercise.id,
            level=exercise.level,
            method=exercise.method,
            region=exercise.region,
            decision_maker=exercise.decision_maker,
            reply_due=exercise.reply_due,
            participants=exercise.participants,
            title=Sealed.of(exercise.id, exercise.title),
            synthetic=exercise.synthetic,
        ),
    )
    unit.emit(
        PromiseMade(
            exercise_id=exercise.id,
            promise=Sealed.of(exercise.id, exercise.promise),
            decision_maker=exercise.decision_maker,
            reply_due=exercise.reply_due,
        ),
    )
    return exercise
