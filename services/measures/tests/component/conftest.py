"""The service's API over a real MongoDB, and what the other services tell it."""

import asyncio
from contextlib import asynccontextmanager
from datetime import date

import pytest
import uvicorn
from measures.contract import AFTER_BATCH, CONSUMES
from measures.main import SERVICE
from rapport_chassis.testing import component
from rapport_chassis.unit_of_work import Circumstances
from rapport_events.envelope import Envelope
from rapport_events.feedback import ResponseReceived, WaveClosed, WaveOpened

PPT = "public-perceptions-tracker"


@pytest.fixture
async def service(mongo_uri, database_name):
    async with component(SERVICE, mongo_uri, database_name) as running:
        yield running


@pytest.fixture
async def analyst(service):
    async with service.http("analyst") as client:
        yield client


@pytest.fixture
async def loaded(analyst):
    answer = await analyst.post("/definitions/load")
    assert answer.status_code == 200
    return answer.json()


@pytest.fixture
def tell(service):
    """Events as one consumed batch."""

    async def batch(*events):
        unit = service.runtime.unit(Circumstances(source="urn:rapport:test", actor="measures"))
        for event in events:
            unit.consumed = Envelope.of(
                event, id=unit.new_id(), source="urn:rapport:test", time=unit.now, correlationid="test"
            )
            await CONSUMES[type(event)](event, unit)
        unit.consumed = None
        await AFTER_BATCH(unit)
        await service.runtime.commit(await unit.write_set())

    return batch


@pytest.fixture
def opened():
    return WaveOpened(
        wave_id="wave-1",
        instrument_id="instrument",
        instrument_code=PPT,
        instrument_version=1,
        ordinal=1,
        year=1,
        starts_on=date(2020, 1, 1),
        ends_on=date(2020, 2, 1),
        question_versions={"ppt.heard": 1},
        synthetic=True,
    )


@pytest.fixture
def closed():
    return WaveClosed(wave_id="wave-1", instrument_code=PPT, ordinal=1, closed_on=date(2020, 2, 1))


@pytest.fixture
def share():
    def responses(yes, n, **facts):
        return [
            ResponseReceived(
                response_id=f"response-{place}",
                wave_id="wave-1",
                instrument_code=PPT,
                answers={"ppt.heard": "yes" if place < yes else "no"},
                day=date(2020, 1, 15),
                synthetic=True,
                **facts,
            )
            for place in range(n)
        ]

    return responses


@asynccontextmanager
async def _served(app):
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
        if serving.done():
            serving.result()
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await asyncio.wait_for(serving, 20)


@pytest.fixture
async def address(service):
    """Where the service answers over a socket."""
    async with _served(service.app) as url:
        yield url
