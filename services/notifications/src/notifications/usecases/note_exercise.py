"""An exercise opened: remember whether it is synthetic, for the messages its reply or broken promise will make."""

from rapport_events.engagement import ExerciseOpened

from notifications.domain.exercise import Exercise
from notifications.usecases import Unit


async def note_exercise(event: ExerciseOpened, unit: Unit) -> None:
    if await unit.exercises.get(event.exercise_id) is None:
        unit.exercises.add(Exercise(id=event.exercise_id, synthetic=event.synthetic))
