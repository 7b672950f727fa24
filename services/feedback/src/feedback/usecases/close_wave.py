"""Close a wave: it takes no more responses."""

from rapport_events.feedback import WaveClosed
from rapport_ports import Command

from feedback.domain.wave import Wave
from feedback.usecases import Id, Unit
from feedback.usecases.read_wave import ReadWave, read_wave


class CloseWave(Command):
    wave_id: Id


async def close_wave(command: CloseWave, unit: Unit) -> Wave:
    """Raises WaveNotFound, WaveIsClosed.

    Whatever begins from now on is refused. A response that found the wave open was accepted by that, and is committed
    within the committer's patience; it carries the wave's id and counts. So no two writers ever wait for each other
    over the wave's document, however many responses arrive at once.
    """
    wave = await read_wave(ReadWave(wave_id=command.wave_id), unit)
    today = unit.now.date()
    wave.close(today)
    unit.waves.save(wave)
    unit.emit(WaveClosed(wave_id=wave.id, instrument_code=wave.instrument_code, ordinal=wave.ordinal, closed_on=today))
    return wave
