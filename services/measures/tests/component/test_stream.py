"""Figures as they change, over a socket."""

import asyncio
import json
import time
from contextlib import asynccontextmanager

import httpx
import pytest
from measures import stream

pytestmark = pytest.mark.usefixtures("loaded")


@asynccontextmanager
async def listening(address, service, **headers):
    """Events of the stream as (event, data, id)."""
    headers["Authorization"] = f"Bearer {service.token('director')}"
    async with (
        httpx.AsyncClient(timeout=30) as client,
        client.stream("GET", f"{address}/measures/stream", headers=headers) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        lines = answer.aiter_lines()

        async def event():
            found = {}
            async for line in lines:
                if not line:
                    return found["event"], json.loads(found["data"]), found["id"]
                name, _, value = line.partition(":")
                found[name] = value.strip()
            raise AssertionError("the stream ended")

        yield lambda: asyncio.wait_for(event(), 20)


async def figures(event, count):
    found = {}
    while len(found) < count:
        name, data, id_ = await event()
        assert name == "figure"
        found[data["measure"], data["subject_key"]] = (data, id_)
    return found


async def test_a_response_becomes_visible(address, service, analyst, tell, opened, share):
    async with listening(address, service) as one, listening(address, service) as other:
        for event in (one, other):
            assert (await event())[0] == "ready"
        await tell(opened, *share(450, 1_000, region="wales"))
        for event in (one, other):
            found = await figures(event, 7)
            shown = (await analyst.get("/measures/PPT-1a")).json()["figure"]
            assert found["PPT-1a", "all"][0] == shown
            assert ("REG-1", "wales") in found


async def test_who_comes_back_hears_what_was_missed(address, service, tell, opened, share):
    async with listening(address, service) as event:
        _, _, last = await event()
    await tell(opened, *share(450, 1_000))
    async with listening(address, service, **{"Last-Event-ID": last}) as event:
        assert (await event())[0] == "ready"
        found = await figures(event, 6)
        assert int(found["PPT-1a", "all"][1]) > int(last)


async def test_a_reset_makes_the_client_read_again(address, service):
    async with listening(address, service) as event:
        await event()
        await service.runtime.database["figures"].drop()
        assert (await event())[0] == "reset"


async def test_the_change_stream_is_closed_with_the_last_listener(address, service):
    for _ in range(2):
        async with listening(address, service) as event:
            await event()
        async with asyncio.timeout(20):
            while service.app.state.figures._feeds:
                await asyncio.sleep(0.02)


async def test_an_id_of_another_stream_is_refused(address, service):
    async with httpx.AsyncClient() as client:
        answer = await client.get(
            f"{address}/measures/stream",
            headers={"Authorization": f"Bearer {service.token('analyst')}", "Last-Event-ID": "yesterday"},
        )
    assert answer.status_code == 400


async def test_a_quiet_line_is_kept_warm_and_ends_with_its_token(address, service, monkeypatch):
    monkeypatch.setattr(stream, "HEARTBEAT", 0.05)
    leeway = service.app.state.verifier.leeway
    token = service.token("analyst", exp=int(time.time()) - leeway + 2)
    async with (
        httpx.AsyncClient(timeout=30) as client,
        client.stream("GET", f"{address}/measures/stream", headers={"Authorization": f"Bearer {token}"}) as answer,
    ):
        lines = [line async for line in answer.aiter_lines()]
    assert ": still here" in lines
