"""A small service of the tests behind the whole HTTP kit, over a real MongoDB."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import Query as Parameter
from pydantic import BaseModel, ConfigDict, Field
from rapport_chassis.http import (
    CursorParameter,
    IdempotencyKey,
    IfMatch,
    Limit,
    Page,
    Query,
    Response,
    Routes,
    Run,
    RunEach,
    allow,
    cursor_of,
    place_of,
    problem_of,
    public,
)
from rapport_chassis.service import Service
from rapport_chassis.settings import ServiceSettings
from rapport_chassis.testing import Component, component
from rapport_events.feedback import WaveClosed

from libs.chassis.tests.things import INDEXES, Thing, Things, closed

routes = Routes(tags=["things"])


class ThingNotFound(Exception):
    """There is no such thing."""


class NewThing(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    id: str = Field(min_length=1, max_length=40)
    words: str | None = Field(default=None, max_length=100)
    count: int = 0
    nested: Any = None


class ThingView(BaseModel):
    id: str
    count: int
    words: str | None
    version: int

    @classmethod
    def of(cls, thing: Thing) -> "ThingView":
        return cls(id=thing.id, count=thing.count, words=thing.words, version=thing.version)


async def make(command: NewThing, unit: Things) -> Thing:
    thing = Thing(id=command.id, words=command.words, count=command.count)
    unit.things.add(thing)
    unit.emit(closed(thing.id, thing.count))
    return thing


async def change(command: tuple[str, NewThing], unit: Things) -> Thing:
    id_, new = command
    thing = await unit.things.get(id_)
    if thing is None:
        raise ThingNotFound(f"no thing {id_}")
    thing.count = new.count
    unit.things.save(thing)
    unit.emit(closed(thing.id, thing.count))
    return thing


async def show(id_: str, unit: Things) -> Thing:
    thing = await unit.things.get(id_)
    if thing is None:
        raise ThingNotFound(f"no thing {id_}")
    return thing


@routes.post("/things", access=allow("maker"), view=ThingView)
async def post(command: NewThing, run: Run, _: IdempotencyKey) -> Response:
    return await run(make, command, view=ThingView.of)


@routes.post("/things/many", access=allow("maker"), view=list[dict[str, Any]], status=200)
async def post_many(commands: list[NewThing], each: RunEach) -> list[dict[str, Any]]:
    outcomes = await each(make, commands)
    return [{"problem": problem_of(o.error)} if o.error else {"id": o.result.id} for o in outcomes]


@routes.patch("/things/{id}", access=allow("maker"), view=ThingView, problems=(404, 412, 428))
async def patch(id: str, command: NewThing, run: Run, if_match: IfMatch) -> Response:  # noqa: A002
    return await run(change, (id, command), view=ThingView.of, expect={id: if_match})


@routes.get("/things/{id}", access=allow("maker", "reader"), view=ThingView, problems=(404,))
async def get(id: str, query: Query) -> Response:  # noqa: A002
    return await query(show, id, view=ThingView.of)


@routes.get("/things", access=allow("reader"), view=Page[ThingView])
async def search(
    query: Query, limit: Limit = 50, cursor: CursorParameter = None, least: Annotated[int, Parameter()] = 0
) -> Response:
    filters = {"least": least}

    async def found(place: tuple[Any, ...] | None, unit: Things) -> Page[ThingView]:
        things = await unit.things.find({"count": {"gte": least}}, after=place, limit=limit + 1)
        more = cursor_of((things[limit - 1].id,), filters) if len(things) > limit else None
        return Page(items=[ThingView.of(t) for t in things[:limit]], next=more)

    return await query(found, place_of(cursor, filters, 1))


@routes.get("/open", access=public("a test of what is open"), view=dict[str, str])
async def open_() -> dict[str, str]:
    return {"open": "yes"}


@routes.get("/broken", access=public("a test of what breaks"), view=dict[str, str])
async def broken() -> dict[str, str]:
    raise RuntimeError("the password is hunter2")


SERVICE = Service(
    name="feedback",
    unit=Things,
    settings=ServiceSettings,
    routes=(routes,),
    errors={ThingNotFound: 404},
    indexes=INDEXES,
    emits=(WaveClosed,),
)


@pytest.fixture(scope="session")
async def shared(mongo_uri: str) -> AsyncIterator[Component]:
    async with component(SERVICE, mongo_uri, "chassis_http") as running:
        yield running


@pytest.fixture
async def things(shared: Component) -> Component:
    await shared.empty()
    return shared
