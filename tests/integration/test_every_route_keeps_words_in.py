"""Words in every place of every request that the services describe, processes that die in the midst of it, and what an
operator sees of it all: nothing repeats a word. A route that is added tomorrow is looked at tomorrow.
"""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from rapport_cli.documents.house import House, app_of
from rapport_cli.running.state import SERVICES

from tests.doors.door import JSON, Door, doors, put
from tests.integration.acts import answer, open_wave, tell
from tests.integration.clear_text import found, found_in_clear
from tests.integration.command import command
from tests.integration.rapport import Rapport, new_key, until
from tests.integration.words import Sender, Words

REFUSED = frozenset(range(400, 500))
AT_ONCE = 8
UNEXPECTED = "unexpected"
"""A field and a parameter that no route has; its name may be told."""
COMMANDS = (("status",), ("status", "--json"), ("dlq", "list"), ("dlq", "history"))


def every_door() -> Iterator[Door]:
    for service in House.load().services:
        yield from doors(service.name, app_of(service).openapi(), {})


@dataclass(frozen=True, slots=True)
class Made:
    """A request with words in it."""

    door: Door
    url: str
    query: dict[str, str] = field(default_factory=dict)
    content: dict[str, Any] = field(default_factory=dict)

    expect: frozenset[int] = REFUSED | {200}

    async def sent(self, sender: Sender) -> None:
        door = self.door
        await sender.send(
            door.method, door.service, self.url, params=self.query, expect=set(self.expect), **self.content
        )


def requests_at(door: Door, words: Words) -> Iterator[Made]:
    """Words in its path, in its query, and in every text of its body; one of them where nothing may be."""
    texts = {p.name: words.new(p.name.replace("_", "")) for p in door.parameters("path")}
    queries = {p.name: words.new(p.name.replace("_", "")) for p in door.parameters("query")}
    contents: list[dict[str, Any]] = [{}]
    if door.takes_json:
        whole = door.body()
        if isinstance(whole, dict):
            whole[UNEXPECTED] = words.new("value")
        for place in door.places():
            if place.pointer and "string" in place.types:
                whole = put(whole, place.pointer, words.new("text"))
        bodies = (whole, [words.new("list")], words.new("scalar"))
        contents = [{"content": json.dumps(body), "headers": {"Content-Type": JSON}} for body in bodies]
    stray = {UNEXPECTED: words.new("value")}
    for content in contents:
        yield Made(door, door.url(**texts), stray, content)
        yield Made(door, door.url(), stray, content)
        if not door.answers_for_ever:
            yield Made(door, door.url(**texts), queries, content)
    if door.streaming:
        yield Made(door, door.url(), content={"content": words.new("rows")}, expect=REFUSED)


@pytest.mark.catalogue("B38", "Z17")
async def test_no_route_repeats_a_word(rapport: Rapport, words: Words, door: Sender) -> None:
    # All of them before the first is sent: to make one takes long, and a connection that says nothing is closed.
    made = [request for each in every_door() for request in requests_at(each, words)]
    assert {request.door.service for request in made} == set(SERVICES)
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(request: Made) -> None:
        async with limit:
            await request.sent(door)

    await asyncio.gather(*(one(request) for request in made))
    assert len(words.refusals) > len(made) / 2, "most are refused"
    assert found(words.refusals, words.all) == [], "an answer quotes what it refuses"
    await rapport.settled()
    assert await found_in_clear(rapport, words.all) == []


@pytest.mark.catalogue("Z17")
async def test_what_dies_and_what_an_operator_sees_repeats_no_word(
    rapport: Rapport, words: Words, door: Sender, tmp_path: Path
) -> None:
    letters = await put_aside(rapport, words, door)
    await killed_amid(rapport, words, door)
    printed = [(" ".join(asked), await printed_by(rapport, *asked)) for asked in COMMANDS]
    about = [
        asked for letter in letters for asked in (("show", letter), ("show", letter, "--data"), ("replay", letter))
    ]
    printed += [(" ".join(asked), await printed_by(rapport, "dlq", *asked)) for asked in about]
    assert any(letter.encode() in text for letter in letters for _, text in printed), "no letter was shown"
    mended = tmp_path / "mended.json"
    data = json.loads((await command(rapport, "dlq", "show", letters[0], "--data")).text)
    mended.write_text(json.dumps({**data, "weight": 10_000}))
    printed.append(("mending", await printed_by(rapport, "dlq", "replay", letters[0], "--with", str(mended))))
    assert b"2 applied" in printed[-1][1]
    assert found(printed, words.all) == [], "the command line repeats it"
    assert found(words.refusals, words.all) == []
    assert await found_in_clear(rapport, words.all) == []


async def killed_amid(rapport: Rapport, words: Words, door: Sender) -> None:
    """kill -9 of APIs and workers with requests and events under way, until each has come back."""
    wave = (await open_wave(rapport))["id"]
    victims = ("registry-api", "feedback-api", "registry-worker", "feedback-worker", "notifications-worker")
    gone = {name: rapport.process(name).pid for name in victims}
    going = True

    async def send() -> None:
        while going:
            person = {"kind": "person", "name": words.new("name"), "email": words.mail(), "category": "public"}
            response = answer(0, comment=words.new("comment"), reference=words.new("interview"))
            for service, path, body in (
                ("registry", "/stakeholders", {**person, "synthetic": True}),
                ("feedback", f"/waves/{wave}/responses", response),
            ):
                try:
                    await door.send("POST", service, path, json=body, expect={201, 503})
                except httpx.TransportError:
                    await asyncio.sleep(0.05)  # nobody is there

    async with asyncio.TaskGroup() as load:
        for _ in range(AT_ONCE):
            load.create_task(send())
        for name, pid in gone.items():
            os.kill(pid, signal.SIGKILL)

            async def back(name: str = name, pid: int = pid) -> bool:
                process = rapport.process(name)
                return process.pid not in {0, pid} and process.ready

            await until(back, seconds=90, what=f"{name} is back")
        going = False
    await rapport.hang_up()
    await rapport.settled(seconds=90)


async def put_aside(rapport: Rapport, words: Words, door: Sender) -> list[str]:
    """Dead letters of events with sealed words in them, as measures keep them."""
    wave = (await open_wave(rapport))["id"]
    response = answer(0, comment=words.new("comment"), reference=words.new("interview"))
    made = await door.send("POST", "feedback", f"/waves/{wave}/responses", json=response, expect={201})
    key = new_key()
    await tell(rapport, made.json()["event"], key, {"weight": 0}, {"weight": 10_000})

    async def aside() -> list[str]:
        letters = rapport.mongo["measures"]["dead_letters"].find({"key": key}).sort("number", 1)
        found = [letter["_id"] async for letter in letters]
        return found if len(found) == 2 else []

    return await until(aside, what="both are put aside")


async def printed_by(rapport: Rapport, *asked: str) -> bytes:
    said = await command(rapport, *asked)
    return f"{said.text}\n{said.errors}".encode()


async def test_the_search_finds_what_leaks(rapport: Rapport, words: Words) -> None:
    """A word in a database, on a topic's way, in a log: planted, found, and taken away again."""
    planted = {where: words.new(where) for where in ("database", "log")}
    collection = rapport.mongo["registry"]["planted"]
    log = rapport.platform.folder.logs / "planted.log"
    await collection.insert_one({"_id": planted["database"].upper()})
    log.write_text(json.dumps({"event": f"could not reach {planted['log']}"}))
    try:
        hits = await found_in_clear(rapport, words.all, but=("local.oplog.rs",))
    finally:
        await collection.drop()
        log.unlink()
    assert hits == [
        f"file {log.relative_to(rapport.platform.folder.path)}: {planted['log']}",
        f"registry.planted: {planted['database']}",
    ]
