"""Open a wave: an instrument goes into the field."""

from typing import Annotated, Self

from pydantic import Field, model_validator
from rapport_events.feedback import WaveOpened
from rapport_ports import Command, Day

from feedback.domain.instrument import SyntheticMixed
from feedback.domain.wave import ExerciseUnknown, Wave, WaveExists, broken_series
from feedback.usecases import Code, Id, Unit
from feedback.usecases.read_instrument import ReadInstrument, read_instrument

Size = Annotated[int, Field(ge=1, le=1_000_000_000)]


class OpenWave(Command):
    instrument_code: Code
    instrument_version: int = Field(ge=1)
    ordinal: int = Field(ge=0, le=10_000, description="Place in the series; 0 is the baseline wave")
    year: int = Field(ge=0, le=100, description="Year of the strategy it reports on; 0 is the baseline year")
    starts_on: Day
    ends_on: Day
    populations: dict[Code, Size] = Field(
        default_factory=dict, max_length=200, description="People per segment, where that is finite and known"
    )
    exercise_id: Id | None = Field(default=None, description="The engagement exercise it belongs to")
    synthetic: bool = Field(description="Made up; so are all its responses")

    @model_validator(mode="after")
    def _forwards(self) -> Self:
        if self.ends_on < self.starts_on:
            raise ValueError("the field period ends before it begins")
        return self


async def open_wave(command: OpenWave, unit: Unit) -> Wave:
    """Raises InstrumentNotFound, WaveExists, ExerciseUnknown, SyntheticMixed."""
    instrument = await read_instrument(ReadInstrument(code=command.instrument_code), unit)
    edition = instrument.edition(command.instrument_version)
    if instrument.synthetic and not command.synthetic:
        raise SyntheticMixed("a made-up instrument has made-up waves only")
    series = await unit.waves.find({"instrument_id": instrument.id, "synthetic": command.synthetic})
    if any(wave.ordinal == command.ordinal for wave in series):
        raise WaveExists(f"{instrument.code} has a wave {command.ordinal} already")
    if command.exercise_id is not None:
        exercise = await unit.exercises.get(command.exercise_id)
        if exercise is None:
            raise ExerciseUnknown("no such exercise is known here; one just opened takes a moment to be heard of")
        if exercise.synthetic != command.synthetic:
            raise SyntheticMixed("exercise and wave are both made up, or neither is")
    wave = Wave(
        id=unit.new_id(),
        instrument_id=instrument.id,
        instrument_code=instrument.code,
        instrument_version=edition.number,
        ordinal=command.ordinal,
        year=command.year,
        starts_on=command.starts_on,
        ends_on=command.ends_on,
        populations=dict(command.populations),
        question_versions={question.code: question.version for question in edition.questions},
        breaks=broken_series(instrument, edition, command.ordinal, series),
        exercise_id=command.exercise_id,
        synthetic=command.synthetic,
    )
    unit.waves.add(wave)
    unit.emit(
        WaveOpened(
            wave_id=wave.id,
            instrument_id=wave.instrument_id,
            instrument_code=wave.instrument_code,
            instrument_version=wave.instrument_version,
            ordinal=wave.ordinal,
            year=wave.year,
            starts_on=wave.starts_on,
            ends_on=wave.ends_on,
            populations=wave.populations,
            question_versions=wave.question_versions,
            breaks=wave.breaks,
            synthetic=wave.synthetic,
        )
    )
    return wave
