"""Note that a wave was opened or closed."""

from rapport_events.feedback import WaveClosed, WaveOpened

from measures.domain.fieldwork import Fieldwork, WaveNotFound
from measures.domain.population import STAKEHOLDER_SURVEY, Populations
from measures.usecases import Unit
from measures.usecases.fold_response import written_intake


async def note_opened_wave(event: WaveOpened, unit: Unit) -> None:
    """Responses may have been counted before: they are judged now."""
    await written_intake(event.wave_id, unit, synthetic=event.synthetic)
    known = await unit.waves.get(event.wave_id)
    wave = Fieldwork(
        id=event.wave_id,
        version=known.version if known else 0,
        instrument=event.instrument_code,
        instrument_version=event.instrument_version,
        ordinal=event.ordinal,
        year=event.year,
        synthetic=event.synthetic,
        populations=dict(event.populations),
        question_versions=dict(event.question_versions),
        breaks=event.breaks,
    )
    unit.waves.add(wave)
    unit.noted_waves[wave.id] = wave


async def note_closed_wave(event: WaveClosed, unit: Unit) -> None:
    """From here on its bounds are the exact ones, and its finite population stays what the registry counts now.

    Raises WaveNotFound.
    """
    wave = await unit.waves.get(event.wave_id)
    if wave is None:
        raise WaveNotFound(f"the wave {event.wave_id} was closed and never opened")
    wave.is_open = False
    if wave.instrument == STAKEHOLDER_SURVEY:
        registered = await unit.populations.get(Populations.id_of(synthetic=wave.synthetic))
        wave.counted = dict(registered.counts) if registered else {}
    unit.waves.save(wave)
    unit.noted_waves[wave.id] = wave
