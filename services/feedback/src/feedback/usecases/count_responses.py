"""Count the responses of a wave."""

from dataclasses import dataclass

from feedback.usecases import Unit
from feedback.usecases.read_wave import ReadWave, read_wave


@dataclass(frozen=True, slots=True)
class Counted:
    wave_id: str
    responses: int


async def count_responses(question: ReadWave, unit: Unit) -> Counted:
    """Raises WaveNotFound."""
    wave = await read_wave(question, unit)
    return Counted(wave.id, await unit.responses.count({"wave_id": wave.id}))
