"""Waves: a version of an instrument in the field."""

from datetime import date

import pytest
from feedback.domain.instrument import InstrumentNotFound, SyntheticMixed
from feedback.domain.wave import ExerciseUnknown, WaveExists, WaveIsClosed, WaveNotFound, WaveState
from feedback.usecases.close_wave import CloseWave, close_wave
from feedback.usecases.count_responses import count_responses
from feedback.usecases.list_waves import ListWaves, list_waves
from feedback.usecases.note_exercise import note_exercise
from feedback.usecases.read_wave import ReadWave, read_wave
from pydantic import ValidationError
from rapport_chassis.errors import PreconditionFailed
from rapport_events.engagement import ExerciseOpened
from rapport_events.event import Sealed
from rapport_events.feedback import WaveClosed, WaveOpened

EXERCISE = "01900000-0000-7000-8000-000000000001"


def exercise(*, synthetic=False):
    return ExerciseOpened(
        exercise_id=EXERCISE,
        level="consult",
        method="survey",
        decision_maker="director",
        reply_due=date(2026, 3, 1),
        title=Sealed(subject=EXERCISE, token="x"),
        synthetic=synthetic,
    )


async def test_opening_tells_all_a_figure_needs(memory, wave):
    event = memory.events[-1]
    assert isinstance(event, WaveOpened)
    assert event.wave_id == wave.id
    assert event.populations == {"police": 120}
    assert event.question_versions == {"heard": 1}
    assert event.breaks == ()


async def test_a_place_in_the_series_is_taken_once(memory, wave, open_):
    with pytest.raises(WaveExists):
        await open_()
    second = await open_(ordinal=1)
    made_up = await open_(synthetic=True)
    assert len({wave.id, second.id, made_up.id}) == 3
    found = await list_waves(ListWaves(instrument_code="tracker", limit=2), memory.unit())
    assert [w.id for w in found] == sorted([wave.id, second.id, made_up.id])


async def test_a_break_of_series_shows_at_the_first_wave_behind_it(memory, wave, publish, open_, heard):
    other = heard(code="other")
    await publish(version=2, questions=[heard(version=2, text="Reworded?"), other])
    await publish(version=3, questions=[heard(version=3, text="Another question?", breaks_series=True), other])
    assert (await open_(ordinal=1, instrument_version=2)).breaks == ()
    assert (await open_(ordinal=2, instrument_version=3)).breaks == ("heard",)
    assert (await open_(ordinal=3, instrument_version=3)).breaks == ()
    assert (await open_(ordinal=4, instrument_version=1)).breaks == ("heard",)
    assert memory.events[-1].breaks == ("heard",)


async def test_made_up_and_real_never_meet(memory, publish, open_):
    await publish(code="drill", synthetic=True)
    with pytest.raises(SyntheticMixed):
        await open_(instrument_code="drill")
    await open_(instrument_code="drill", synthetic=True)
    await publish()
    await memory.consume(exercise(synthetic=True), note_exercise)
    with pytest.raises(SyntheticMixed):
        await open_(exercise_id=EXERCISE)
    assert (await open_(exercise_id=EXERCISE, synthetic=True)).exercise_id == EXERCISE


async def test_an_exercise_must_be_known(memory, publish, open_):
    await publish()
    with pytest.raises(ExerciseUnknown):
        await open_(exercise_id=EXERCISE)
    await memory.consume(exercise(), note_exercise)
    await memory.consume(exercise(), note_exercise)
    assert (await open_(exercise_id=EXERCISE)).exercise_id == EXERCISE


async def test_only_what_is_published_is_asked(publish, open_):
    with pytest.raises(InstrumentNotFound):
        await open_()
    await publish()
    with pytest.raises(InstrumentNotFound):
        await open_(instrument_version=2)


@pytest.mark.parametrize(
    "changed",
    [
        {"ends_on": "2025-12-31"},
        {"starts_on": "2026-01-01T00:00:00"},
        {"starts_on": 1767225600},
        {"starts_on": "2026-02-30"},
        {"populations": {"police": 0}},
        {"populations": {"$where": 1}},
        {"ordinal": -1},
        {"ordinal": True},
    ],
)
async def test_a_wave_that_makes_no_sense(publish, open_, changed):
    await publish()
    with pytest.raises(ValidationError):
        await open_(**changed)


async def test_closing(memory, wave, submit):
    await submit()
    closed = await memory.run(close_wave, CloseWave(wave_id=wave.id), expected={wave.id: 1})
    assert closed.closed_on == date(2026, 1, 5)
    assert isinstance(memory.events[-1], WaveClosed)
    with pytest.raises(WaveIsClosed):
        await submit()
    with pytest.raises(WaveIsClosed):
        await memory.run(close_wave, CloseWave(wave_id=wave.id))
    assert await list_waves(ListWaves(state=WaveState.OPEN, limit=5), memory.unit()) == []
    assert (await count_responses(ReadWave(wave_id=wave.id), memory.unit())).responses == 1


async def test_closing_what_was_changed_since(memory, wave):
    with pytest.raises(PreconditionFailed):
        await memory.run(close_wave, CloseWave(wave_id=wave.id), expected={wave.id: 7})


async def test_a_wave_that_is_not_there(memory):
    with pytest.raises(WaveNotFound):
        await read_wave(ReadWave(wave_id=EXERCISE), memory.unit())
