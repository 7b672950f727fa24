"""Read a wave."""

from rapport_ports import Command

from feedback.domain.wave import Wave, WaveNotFound
from feedback.usecases import Id, Unit


class ReadWave(Command):
    wave_id: Id


async def read_wave(question: ReadWave, unit: Unit) -> Wave:
    """Raises WaveNotFound."""
    wave = await unit.waves.get(question.wave_id)
    if wave is None:
        raise WaveNotFound("there is no such wave")
    return wave
