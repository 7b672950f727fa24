"""What an operator can do with any service: look at dead letters, replay them, send events again."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from rapport_events.catalog import TOPICS

from rapport_chassis.http.routes import Routes, allow
from rapport_chassis.journal import Partition

routes = Routes(prefix="/operations", tags=["operations"])


class Replay(BaseModel):
    """Which letter to try again; none named: all of them."""

    model_config = ConfigDict(extra="forbid", strict=True)

    letter: str | None = Field(default=None, max_length=300)


class Republish(BaseModel):
    """What to send again, with the numbers it has."""

    model_config = ConfigDict(extra="forbid", strict=True)

    topic: str
    partition: int | None = Field(default=None, ge=0, description="None: all partitions of the topic")
    first: int = Field(default=1, ge=1, description="From this number on")


class Marked(BaseModel):
    """How many were marked; the worker does the rest."""

    marked: int


@routes.get("/dead-letters", access=allow("operator"), view=list[dict[str, Any]])
async def list_dead_letters(request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 200) -> Any:
    """Dead and parked letters, without their content."""
    return await request.app.state.runtime.letters.all(limit)


@routes.get("/dead-letters/{letter:path}", access=allow("operator"), view=dict[str, Any], problems=(404,))
async def show_dead_letter(letter: str, request: Request) -> Any:
    """One letter with its envelope (personal data in it are sealed)."""
    found = await request.app.state.runtime.letters.one(letter)
    if found is None:
        raise HTTPException(404, "there is no such letter")
    return found


@routes.post("/dead-letters/replay", access=allow("operator"), view=Marked, status=202)
async def replay_dead_letters(what: Replay, request: Request) -> Marked:
    """Try letters again, each aggregate's in order."""
    return Marked(marked=await request.app.state.runtime.letters.ask_replay(what.letter))


@routes.post("/republish", access=allow("operator"), view=Marked, status=202, problems=(404,))
async def republish(what: Republish, request: Request) -> Marked:
    """Send the journal again from a number; consumers drop what they have."""
    runtime = request.app.state.runtime
    if what.topic not in TOPICS or TOPICS[what.topic].owner != runtime.name:
        raise HTTPException(404, f"{runtime.name} does not emit on that topic")
    numbers = range(TOPICS[what.topic].partitions) if what.partition is None else [what.partition]
    for number in numbers:
        if number >= TOPICS[what.topic].partitions:
            raise HTTPException(404, "the topic has no such partition")
        await runtime.journal.ask_republish(Partition(what.topic, number), what.first)
    return Marked(marked=len(numbers))
