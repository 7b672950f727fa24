"""Break the promises whose day has passed without a reply: what the clock runs."""

from datetime import date

from rapport_events.engagement import PromiseBroken
from rapport_events.event import Sealed

from engagement.domain.calendar import day_of
from engagement.domain.exercise import Exercise, PromiseState
from engagement.usecases import Unit

AT_ONCE = 100
"""What is left is found at the next stroke of the clock."""


async def break_overdue_promises(unit: Unit) -> int:
    """How many were broken. Each is broken once: two clocks that strike at the same time differ by the version."""
    today = day_of(unit.now)
    standing = {"promise_state": PromiseState.STANDING, "reply_due": {"lt": today.isoformat()}}
    overdue = await unit.exercises.find(standing, sort="reply_due", limit=AT_ONCE)
    for exercise in overdue:
        break_promise(exercise, today, unit)
    return len(overdue)


def break_promise(exercise: Exercise, today: date, unit: Unit) -> None:
    """Break one promise, and tell."""
    exercise.break_promise(today)
    unit.exercises.save(exercise)
    unit.emit(
        PromiseBroken(
            exercise_id=exercise.id,
            title=Sealed.of(exercise.id, exercise.title),
            reply_due=exercise.reply_due,
            broken_on=today,
            decision_maker=exercise.decision_maker,
        ),
    )
