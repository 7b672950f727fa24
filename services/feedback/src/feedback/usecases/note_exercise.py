"""An exercise was opened: waves may belong to it."""

from rapport_events.engagement import ExerciseOpened

from feedback.domain.exercise import Exercise
from feedback.usecases import Unit


async def note_exercise(event: ExerciseOpened, unit: Unit) -> None:
    """Keep our own copy."""
    if await unit.exercises.get(event.exercise_id) is None:
        unit.exercises.add(Exercise(id=event.exercise_id, synthetic=event.synthetic))
