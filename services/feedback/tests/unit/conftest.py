"""Feedback over memory."""

import pytest
from feedback.store import Feedback
from feedback.usecases.open_wave import OpenWave, open_wave
from feedback.usecases.publish_instrument import PublishInstrument, publish_instrument
from feedback.usecases.submit_response import Submission, SubmitResponse, submit_response
from rapport_chassis.memory import Memory

HEARD = {
    "code": "heard",
    "version": 1,
    "text": "Have you heard of Example Organisation?",
    "answers": [
        {"code": "yes", "label": "Yes"},
        {"code": "no", "label": "No"},
        {"code": "refused", "label": "Refused"},
    ],
    "counts": ["yes"],
    "left_out": ["refused"],
}
INSTRUMENT = {
    "code": "tracker",
    "version": 1,
    "weighted": True,
    "questions": [HEARD],
    "groups": ["bame", "young-18-24"],
    "regions": ["north", "south"],
    "synthetic": False,
}
WAVE = {
    "instrument_code": "tracker",
    "instrument_version": 1,
    "ordinal": 0,
    "year": 0,
    "starts_on": "2026-01-01",
    "ends_on": "2026-01-31",
    "populations": {"police": 120},
    "synthetic": False,
}


@pytest.fixture
def memory():
    return Memory(Feedback)


@pytest.fixture
def publish(memory):
    """Publish the instrument with some fields changed."""

    async def run(**changed):
        return await memory.run(publish_instrument, PublishInstrument.model_validate(INSTRUMENT | changed))

    return run


@pytest.fixture
def open_(memory):
    """Open a wave with some fields changed."""

    async def run(**changed):
        return await memory.run(open_wave, OpenWave.model_validate(WAVE | changed))

    return run


@pytest.fixture
async def wave(publish, open_):
    await publish()
    return await open_()


@pytest.fixture
def heard():
    """The question, with some fields changed."""
    return lambda **changed: HEARD | changed


@pytest.fixture
def submit(memory, wave):
    """Submit a response to the wave, with some fields changed."""

    async def run(**changed):
        submission = Submission.model_validate({"answers": {"heard": "yes"}} | changed)
        return await memory.run(submit_response, SubmitResponse(wave_id=wave.id, submission=submission))

    return run
