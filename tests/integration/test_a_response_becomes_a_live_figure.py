"""A response submitted over HTTP: in the stream of figures, in the measure, and explained to the last bit."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.integration.acts import MEASURE, answer, counted, explained, import_responses, open_wave, submit
from tests.integration.rapport import Rapport

SHOWN_FROM = 30
"""Figures on fewer responses are suppressed."""


@asynccontextmanager
async def listening(rapport: Rapport) -> AsyncIterator["asyncio.Queue[tuple[str, Any]]"]:
    """What a browser's EventSource would hear: (event, data)."""
    heard: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    async def hear() -> None:
        kind = ""
        async with rapport.http("measures").stream("GET", "/measures/stream", params={"synthetic": True}) as answered:
            async for line in answered.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    await heard.put((kind, json.loads(value)))

    listener = asyncio.create_task(hear())
    try:
        yield heard
    finally:
        listener.cancel()
        await asyncio.wait([listener])


async def figures(heard: "asyncio.Queue[tuple[str, Any]]", wave: str, responses: int) -> dict[str, Any]:
    """The first figure told of this wave with so many responses in it."""
    while True:
        kind, told = await asyncio.wait_for(heard.get(), 30)
        if (
            kind == "figure"
            and (told["wave_id"], told["measure"]) == (wave, MEASURE)
            and told["responses"] >= responses
        ):
            return dict(told)


async def test_a_response_becomes_visible_in_the_stream_and_in_its_measure(rapport: Rapport) -> None:
    wave = (await open_wave(rapport))["id"]
    first = await import_responses(rapport, wave, [answer(n) for n in range(SHOWN_FROM)])
    await counted(rapport, wave, SHOWN_FROM)
    before = await rapport.get("measures", f"/measures/{MEASURE}", synthetic=True)

    async with listening(rapport) as heard:
        assert await asyncio.wait_for(heard.get(), 30) == ("ready", {})
        event = await submit(rapport, wave, {"answers": {"ppt.heard": "yes"}})
        streamed = await figures(heard, wave, SHOWN_FROM + 1)

    after = await rapport.get("measures", f"/measures/{MEASURE}", synthetic=True)
    assert after["figure"] == streamed
    assert before["figure"]["share"] == 12 / 30
    assert streamed["share"] == 13 / 31
    assert streamed["base"] == SHOWN_FROM + 1
    assert streamed["interval"]["low"] < streamed["share"] < streamed["interval"]["high"]
    assert streamed["provisional"]

    assert after["freshness"]["responses"] == before["freshness"]["responses"] + 1
    assert after["freshness"]["as_of"] > before["freshness"]["as_of"]
    assert sum(after["freshness"]["numbers"].values()) > sum(before["freshness"]["numbers"].values())

    explanation = await explained(rapport, wave)
    assert explanation["agrees"]
    assert explanation["figure"] == streamed
    assert sorted(explanation["events"]) == sorted([event, *(row["event"] for row in first)])
    for recount in explanation["recounts"].values():
        assert recount["held"] == recount["recounted"]
        assert recount["departures"] == []
        assert recount["recounted"]["wy"] / recount["recounted"]["w"] == streamed["share"]
