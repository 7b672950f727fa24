"""Publish the reply to an exercise."""

from typing import Annotated

from pydantic import Field, StringConstraints
from rapport_events.engagement import PromiseKept, ReplyPublished
from rapport_events.event import Sealed
from rapport_ports import Command

from engagement.domain.calendar import day_of
from engagement.domain.exercise import Exercise, PromiseState, check_unanswered
from engagement.usecases import Unit
from engagement.usecases.break_overdue_promises import break_promise
from engagement.usecases.read_exercise import read_exercise


class Reply(Command):
    reply: Annotated[str, StringConstraints(min_length=1, max_length=20_000)] = Field(
        description="What was heard, what was decided, and why"
    )

    def to(self, exercise_id: str) -> "PublishReply":
        return PublishReply(exercise_id=exercise_id, reply=self.reply)


class PublishReply(Reply):
    exercise_id: str


async def publish_reply(command: PublishReply, unit: Unit) -> Exercise:
    """A reply in time keeps the promise. A late one is published all the same, and the promise stays broken.

    Raises ExerciseNotFound, AlreadyReplied.
    """
    exercise = await read_exercise(command.exercise_id, unit)
    check_unanswered(exercise)
    today = day_of(unit.now)
    if exercise.overdue(today):
        break_promise(exercise, today, unit)  # the clock had not struck yet
    exercise.publish(command.reply, today)
    unit.exercises.save(exercise)
    exercise.reply_event = unit.emit(
        ReplyPublished(
            exercise_id=exercise.id,
            title=Sealed.of(exercise.id, exercise.title),
            reply=Sealed.of(exercise.id, command.reply),
            published_on=today,
            participants=exercise.participants,
        ),
    )
    if exercise.promise_state is PromiseState.KEPT:
        unit.emit(PromiseKept(exercise_id=exercise.id, reply_due=exercise.reply_due, kept_on=today))
    return exercise
