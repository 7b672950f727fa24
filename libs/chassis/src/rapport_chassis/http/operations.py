"""What an operator can do with any service: see what waits, look at dead letters, replay them, send events again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import HTTPException, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from rapport_events.catalog import TOPICS

from rapport_chassis import outstanding
from rapport_chassis.dead_letters import NotMended
from rapport_chassis.generation import CURSORS
from rapport_chassis.http import Caller, Routes, allow
from rapport_chassis.journal import Partition

OPERATORS = allow("operator", regional=False)

routes = Routes(prefix="/operations", tags=["operations"])


class Replay(BaseModel):
    """Which letter to try again; none named: all of them."""

    model_config = ConfigDict(extra="forbid", strict=True)

    letter: str | None = Field(default=None, max_length=300)
    data: dict[str, Any] | None = Field(default=None, description="The event's data, mended; only with one letter")


class Republish(BaseModel):
    """What to send again, with the numbers it has."""

    model_config = ConfigDict(extra="forbid", strict=True)

    topic: str = Field(max_length=200)
    partition: int | None = Field(default=None, ge=0, description="None: all partitions of the topic")
    first: int = Field(default=1, ge=1, description="From this number on")


class Marked(BaseModel):
    """How many were marked; the worker does the rest."""

    marked: int


class OutstandingView(BaseModel):
    """Events of a kind that somebody has not applied yet."""

    topic: str
    state: str = Field(description="unsent: committed here and not sent; unheard: sent, with a number not heard yet")
    about: dict[str, Any] | None = Field(description="What they are about; null where nobody looked, as in a long row")
    events: int


@routes.get("/heard", access=OPERATORS, view=dict[str, int])
async def list_heard(request: Request) -> Any:
    """The number of the last event applied, per partition of the topics that this service hears."""
    cursors = await request.app.state.runtime.documents.find(CURSORS, {})
    return {str(Partition(cursor["topic"], cursor["partition"])): cursor["number"] for cursor in cursors}


@routes.get("/outstanding", access=OPERATORS, view=list[OutstandingView], problems=(404,))
async def list_outstanding(
    topic: Annotated[str, Query(max_length=200)],
    request: Request,
    heard: Annotated[
        list[Annotated[int, Field(ge=0)]] | None, Query(max_length=100, description="Of each partition, in order")
    ] = None,
) -> Any:
    """What of a topic's journal somebody has not applied who applied these numbers last: unsent, and sent since."""
    runtime = request.app.state.runtime
    _owned(topic, runtime.name)
    found = await outstanding.outstanding(runtime.journal, topic, dict(enumerate(heard or ())))
    return [OutstandingView(**asdict(each)) for each in found]


@routes.get("/dead-letters", access=OPERATORS, view=list[dict[str, Any]])
async def list_dead_letters(request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 200) -> Any:
    """Dead and parked letters, without their content."""
    return await request.app.state.runtime.letters.all(limit)


@routes.get("/dead-letters/{letter:path}", access=OPERATORS, view=dict[str, Any], problems=(404,))
async def show_dead_letter(letter: Annotated[str, Path(max_length=300)], request: Request) -> Any:
    """One letter with its envelope (personal data in it are sealed)."""
    found = await request.app.state.runtime.letters.one(letter)
    if found is None:
        raise HTTPException(404, "there is no such letter")
    return found


@routes.post("/dead-letters/replay", access=OPERATORS, view=Marked, status=202, problems=(409, 422))
async def replay_dead_letters(what: Replay, request: Request, caller: Caller) -> Marked:
    """Try letters again, each aggregate's in order; one of them with its data mended. What comes of it: replays."""
    if what.data is not None and what.letter is None:
        raise HTTPException(422, "name the letter whose data are mended")
    letters = request.app.state.runtime.letters
    try:
        marked = await letters.ask_replay(what.letter, by=caller.subject, data=what.data)
    except NotMended as error:
        raise HTTPException(422, str(error)) from error
    return Marked(marked=marked)


@routes.get("/replays", access=OPERATORS, view=list[dict[str, Any]])
async def list_replays(request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 200) -> Any:
    """The newest attempts to replay letters: who asked and when, what was mended, what came of it."""
    return await request.app.state.runtime.letters.replays(limit)


@routes.post("/republish", access=OPERATORS, view=Marked, status=202, problems=(404,))
async def republish(what: Republish, request: Request) -> Marked:
    """Send the journal again from a number; consumers drop what they have."""
    runtime = request.app.state.runtime
    _owned(what.topic, runtime.name)
    numbers = range(TOPICS[what.topic].partitions) if what.partition is None else [what.partition]
    for number in numbers:
        if number >= TOPICS[what.topic].partitions:
            raise HTTPException(404, "the topic has no such partition")
        await runtime.journal.ask_republish(Partition(what.topic, number), what.first)
    return Marked(marked=len(numbers))


def _owned(topic: str, service: str) -> None:
    if topic not in TOPICS or TOPICS[topic].owner != service:
        raise HTTPException(404, f"{service} does not emit on that topic")
