"""Feedback's API over a real MongoDB; each test begins with an empty one."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import uvicorn
from feedback.main import SERVICE
from rapport_chassis.testing import Component, component

INSTRUMENT = {
    "code": "tracker",
    "version": 1,
    "weighted": True,
    "questions": [
        {
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
    ],
    "groups": ["bame", "young-18-24"],
    "regions": ["north", "south"],
    "synthetic": False,
}
WAVE = {
    "instrument_code": "tracker",
    "instrument_version": 1,
    "ordinal": 0,
    "year": 0,
    "starts_on": "2019-01-01",
    "ends_on": "2019-03-31",
    "synthetic": False,
}
CHUNK_MARK = re.compile(rb"\r\n[0-9a-f]+\r\n")


@pytest.fixture(scope="session")
async def feedback_component(mongo_uri: str) -> AsyncIterator[Component]:
    async with component(SERVICE, mongo_uri, "feedback_component") as running:
        yield running


@pytest.fixture
async def feedback(feedback_component: Component) -> Component:
    await feedback_component.empty()
    return feedback_component


@pytest.fixture
async def researcher(feedback: Component):
    async with feedback.http("researcher") as client:
        yield client


@pytest.fixture
async def collector(feedback: Component):
    async with feedback.http("collector") as client:
        yield client


@pytest.fixture
def instrument():
    return dict(INSTRUMENT)


@pytest.fixture
def wave_to_open():
    return dict(WAVE)


@pytest.fixture
async def wave(researcher):
    """An open wave, as the API shows it."""
    published = await researcher.post("/instruments", json=INSTRUMENT)
    assert published.status_code == 201, published.text
    opened = await researcher.post("/waves", json=WAVE)
    assert opened.status_code == 201, opened.text
    return opened.json()


@pytest.fixture
def stream(collector, wave):
    """Send a stream, in pieces if it is one; the answers, a row each."""

    async def send(content, media_type="application/x-ndjson"):
        answered = await collector.post(
            f"/waves/{wave['id']}/responses/import", content=content, headers={"Content-Type": media_type}
        )
        assert answered.status_code == 200, answered.text
        assert answered.headers["content-type"] == "application/x-ndjson"
        return [json.loads(line) for line in answered.text.splitlines()]

    return send


@pytest.fixture
def count(collector, wave):
    async def ask():
        return (await collector.get(f"/waves/{wave['id']}/responses/count")).json()["responses"]

    return ask


@dataclass(slots=True)
class RawImport:
    """An import over a real connection, sent and heard by hand: nothing of a client's habits in between."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: bytes = b""

    async def send(self, piece: bytes) -> None:
        self.writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        await asyncio.wait_for(self.writer.drain(), 30)

    async def end(self) -> None:
        self.writer.write(b"0\r\n\r\n")
        await asyncio.wait_for(self.writer.drain(), 30)

    async def hear(self, wanted: int) -> None:
        """Until so many rows were accepted."""
        while self.text.count(b'"accepted"') < wanted:
            some = await asyncio.wait_for(self.reader.read(65_536), 30)
            assert some, "the connection was closed"
            self.heard += some

    async def hear_all(self) -> None:
        self.heard += await asyncio.wait_for(self.reader.read(-1), 60)

    @property
    def text(self) -> bytes:
        """What was heard, without the marks between HTTP's chunks."""
        return CHUNK_MARK.sub(b"", self.heard)

    def go(self) -> None:
        self.writer.close()


@pytest.fixture
async def raw_import(feedback, wave):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(feedback.app, log_config=None, lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        head = (
            f"POST /waves/{wave['id']}/responses/import HTTP/1.1",
            "Host: localhost",
            "Connection: close",
            f"Authorization: Bearer {feedback.token('collector')}",
            "Content-Type: application/x-ndjson",
            "Transfer-Encoding: chunked",
        )
        writer.write("\r\n".join((*head, "", "")).encode())
        yield RawImport(reader, writer)
        writer.close()
        server.should_exit = True
        await serving
