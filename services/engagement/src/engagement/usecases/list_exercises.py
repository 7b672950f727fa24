"""List exercises, newest first."""

from pydantic import Field
from rapport_ports import Command

from engagement.domain.exercise import Exercise, PromiseState
from engagement.domain.participation import Level
from engagement.usecases import Code, Id, Unit


class ListExercises(Command):
    """All that is named must fit."""

    participant: Id | None = None
    region: Code | None = None
    level: Level | None = None
    promise_state: PromiseState | None = None
    before: tuple[str, ...] | None = Field(default=None, description="Where the page before ended")
    limit: int = Field(default=50, ge=1)


async def list_exercises(question: ListExercises, unit: Unit) -> list[Exercise]:
    where = question.model_dump(exclude_none=True, exclude={"participant", "before", "limit"})
    if question.participant is not None:
        where["participants"] = question.participant
    return await unit.exercises.find(where, descending=True, after=question.before, limit=question.limit)
