"""Read who was told of the reply to an exercise."""

from engagement.domain.receipt import Proof, prove
from engagement.usecases import Unit
from engagement.usecases.read_exercise import read_exercise


async def read_receipts(exercise_id: str, unit: Unit) -> Proof:
    """Raises ExerciseNotFound."""
    exercise = await read_exercise(exercise_id, unit)
    receipts = await unit.receipts.find({"cause": exercise.reply_event}) if exercise.reply_event else []
    return prove(exercise.id, exercise.reply_event, exercise.participants, receipts)
