"""Read an exercise."""

from engagement.domain.exercise import Exercise, ExerciseNotFound
from engagement.usecases import Unit


async def read_exercise(id_: str, unit: Unit) -> Exercise:
    """Raises ExerciseNotFound."""
    exercise = await unit.exercises.get(id_)
    if exercise is None:
        raise ExerciseNotFound("there is no such exercise")
    return exercise
