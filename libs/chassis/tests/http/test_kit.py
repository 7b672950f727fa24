"""What every route inherits. Numbers in brackets are rows of the catalogue of bad inputs."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from rapport_chassis.http import Routes, allow
from rapport_chassis.http.kit import install
from rapport_chassis.http.routes import UndeclaredAccess, declared_access
from rapport_chassis.testing import Component

JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def maker(things: Component) -> AsyncIterator[httpx.AsyncClient]:
    async with things.http("maker", "reader") as client:
        yield client


def new(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


async def nothing_changed(things: Component) -> bool:
    stored = await things.runtime.database["things"].count_documents({})
    return stored == 0 and await things.events() == []


def is_problem(response: httpx.Response, status: int) -> bool:
    body = response.json()
    return (
        response.status_code == status
        and response.headers["content-type"] == "application/problem+json"
        and body["status"] == status
        and bool(body["title"])
    )


async def test_made_read_changed(things: Component, maker: httpx.AsyncClient) -> None:
    made = await maker.post("/things", json={"id": "a", "words": "kept to ourselves"}, headers=new("1"))
    assert made.status_code == 201
    assert made.json() == {"id": "a", "count": 0, "words": "kept to ourselves", "version": 1}
    assert made.headers["etag"] == '"1"'
    assert made.headers["cache-control"] == "no-store"
    assert made.headers["x-content-type-options"] == "nosniff"
    stored = await things.runtime.database["things"].find_one({"_id": "a"})
    assert stored is not None
    assert stored["words"].startswith("v1.")
    changed = await maker.patch("/things/a", json={"id": "a", "count": 2}, headers={"If-Match": '"1"'})
    assert changed.headers["etag"] == '"2"'
    read = await maker.get("/things/a")
    assert read.json()["count"] == 2
    assert read.headers["etag"] == '"2"'
    assert len(await things.events()) == 2


async def test_what_is_kept_of_an_idempotency_key_cannot_be_guessed(
    things: Component, maker: httpx.AsyncClient
) -> None:
    key, body = "somebody@example.org", b'{"id":"a"}'
    headers = {**new(key), "Content-Type": "application/json"}
    assert (await maker.post("/things", content=body, headers=headers)).status_code == 201
    [kept] = await things.runtime.database["idempotency"].find({}).to_list()
    told = b"\x00".join((b"POST", b"/things", body))
    for guess in (key.encode(), f"maker\x00{key}".encode(), body, told):
        assert hashlib.sha256(guess).hexdigest() not in repr(kept)
    assert key not in repr(kept)


async def test_stale_and_missing_preconditions(maker: httpx.AsyncClient) -> None:  # B39
    await maker.post("/things", json={"id": "a"}, headers=new("1"))
    body = {"id": "a", "count": 2}
    assert is_problem(await maker.patch("/things/a", json=body), 428)
    assert is_problem(await maker.patch("/things/a", json=body, headers={"If-Match": '"7"'}), 412)
    for bad in ("*", "7", 'W/"1"', '"1", "2"', '"0"', '""'):
        assert is_problem(await maker.patch("/things/a", json=body, headers={"If-Match": bad}), 400)
    racing = [maker.patch("/things/a", json=body, headers={"If-Match": '"1"'}) for _ in range(5)]
    statuses = sorted(r.status_code for r in await asyncio.gather(*racing))
    assert statuses == [200, 412, 412, 412, 412]


async def test_a_request_repeated_is_done_once(things: Component, maker: httpx.AsyncClient) -> None:  # B40
    twins = await asyncio.gather(*(maker.post("/things", json={"id": "a"}, headers=new("k")) for _ in range(6)))
    assert {r.status_code for r in twins} == {201}
    assert {r.text for r in twins} == {twins[0].text}
    assert sum(r.headers.get("idempotency-replayed") == "true" for r in twins) == 5
    assert len(await things.events()) == 1
    other = await maker.post("/things", json={"id": "b"}, headers=new("k"))
    assert is_problem(other, 422)
    async with things.http("maker", subject="somebody else") as another:
        assert (await another.post("/things", json={"id": "c"}, headers=new("k"))).status_code == 201
    assert is_problem(await maker.post("/things", json={"id": "d"}), 400)
    for bad in (b"x" * 129, b"with space", "ümlaut".encode()):
        assert is_problem(await maker.post("/things", json={"id": "d"}, headers={b"Idempotency-Key": bad}), 400)


async def test_what_exists_already_is_a_conflict(maker: httpx.AsyncClient) -> None:
    await maker.post("/things", json={"id": "a"}, headers=new("1"))
    assert is_problem(await maker.post("/things", json={"id": "a"}, headers=new("2")), 409)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),  # B5
        (b"null", 422),
        (b"[]", 422),
        (b"7", 422),
        (b'{"id": "a"', 400),
        ('{"id": "ä"}'.encode("latin-1"), 400),  # B6
        ('{"id": "a"}'.encode("utf-16"), 400),
        (b'\xef\xbb\xbf{"id": "a"}', 400),
        (b'{"id": "a", "nested": ' + b"[" * 40 + b"]" * 40 + b"}", 400),  # B7
        (b'{"id": "a", "nested": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
        (b'{"id": "a", "id": "b"}', 400),  # B8
        (b'{"id": "a", "nested": NaN}', 422),  # B9
        (b'{"id": "a", "nested": -Infinity}', 422),
        (b'{"id": "a", "nested": 1e400}', 422),
        (b'{"id": "a", "nested": ' + b"9" * 10_000 + b"}", 422),  # B10
        (b'{"id": "a", "count": 1.0}', 422),
        (b'{"id": "a", "count": "1"}', 422),  # B11
        (b'{"id": "a", "count": true}', 422),
        (b'{"id": "a", "unknown": 1}', 422),  # B27
        (b'{"id": "a", "version": 7}', 422),  # B28
        (b'{"id": {"$ne": null}}', 422),  # B30
        (b'{"id": ""}', 422),  # B21
        (b'{"id": "' + b"a" * 41 + b'"}', 422),
    ],
)
async def test_bad_bodies_change_nothing(things: Component, maker: httpx.AsyncClient, body: bytes, status: int) -> None:
    response = await maker.post("/things", content=body, headers={**JSON, **new("1")})
    assert is_problem(response, status), response.text
    assert await nothing_changed(things)


async def test_an_invalid_value_is_not_echoed(maker: httpx.AsyncClient) -> None:
    response = await maker.post("/things", json={"id": "a", "words": "my secret" * 20, "x": 1}, headers=new("1"))
    assert is_problem(response, 422)
    assert "my secret" not in response.text
    assert {e["pointer"] for e in response.json()["errors"]} == {"/body/words", "/body/x"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},  # B12
        {"Content-Type": "application/json; charset=latin-1"},
        {},
        {**JSON, "Content-Encoding": "gzip"},  # B13
        {"Content-Type": "multipart/form-data; boundary=x"},  # B14
    ],
)
async def test_other_media_types_are_refused(
    things: Component, maker: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    response = await maker.post("/things", content=b'{"id": "a"}', headers={**headers, **new("1")})
    assert is_problem(response, 415), response.text
    assert await nothing_changed(things)


async def test_bodies_beyond_the_cap(things: Component, maker: httpx.AsyncClient) -> None:  # B1, B2
    huge = b'{"id": "' + b"a" * 1_100_000 + b'"}'

    async def in_chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(huge), 64_000):
            yield huge[start : start + 64_000]

    for body in (huge, in_chunks()):
        response = await maker.post("/things", content=body, headers={**JSON, **new("1")})
        assert response.status_code == 413, response.text
    assert await nothing_changed(things)


async def test_methods_and_paths_that_are_not_there(maker: httpx.AsyncClient) -> None:  # B19
    response = await maker.put("/things", json={})
    assert is_problem(response, 405)
    assert response.headers["allow"]
    assert is_problem(await maker.get("/nowhere"), 404)
    missing = await maker.get("/things/nobody")
    assert is_problem(missing, 404)
    assert missing.json()["type"] == "urn:rapport:problem:thing-not-found"


async def test_a_fault_of_ours_shows_nothing_of_the_inside(maker: httpx.AsyncClient) -> None:
    response = await maker.get("/broken")
    assert is_problem(response, 500)
    assert "hunter2" not in response.text
    assert "RuntimeError" not in response.text


async def test_pages(maker: httpx.AsyncClient) -> None:  # B33
    for n in range(7):
        await maker.post("/things", json={"id": f"t{n}", "count": n}, headers=new(str(n)))
    seen, cursor = [], None
    while True:
        found = (await maker.get("/things", params={"limit": 3, **({"cursor": cursor} if cursor else {})})).json()
        seen += [item["id"] for item in found["items"]]
        cursor = found["next"]
        if cursor is None:
            break
    assert seen == [f"t{n}" for n in range(7)]
    first = (await maker.get("/things", params={"limit": 3})).json()["next"]
    assert is_problem(await maker.get("/things", params={"limit": 3, "cursor": first, "least": 1}), 400)
    for bad in ("x", first[:-3], "bm90IGpzb24", "W10"):
        assert is_problem(await maker.get("/things", params={"cursor": bad}), 400)
    for limit in ("0", "-1", "201", "1000000000", "x"):
        assert is_problem(await maker.get("/things", params={"limit": limit}), 422)


async def test_many_at_once_with_an_answer_each(things: Component, maker: httpx.AsyncClient) -> None:
    await maker.post("/things", json={"id": "t3"}, headers=new("1"))
    answers = (await maker.post("/things/many", json=[{"id": f"t{n}"} for n in range(6)])).json()
    assert [a.get("id") for a in answers] == ["t0", "t1", "t2", None, "t4", "t5"]
    assert answers[3]["problem"]["type"] == "urn:rapport:problem:conflict"
    assert len(await things.events()) == 6


async def test_roles(things: Component) -> None:
    async with things.http("reader") as reader, things.http("maker") as maker, things.http() as nobody:
        body = {"id": "a"}
        refused = await reader.post("/things", json=body, headers=new("1"))
        assert is_problem(refused, 403)
        assert is_problem(await maker.get("/things"), 403)
        closed = await nobody.post("/things", content=b"not even json")
        assert is_problem(closed, 401)
        assert closed.headers["www-authenticate"] == "Bearer"
        assert (await nobody.get("/open")).status_code == 200
    assert await nothing_changed(things)


async def test_every_route_says_who_may_use_it(things: Component) -> None:
    declared = {(method, path): access for method, path, access in declared_access(things.app)}
    assert declared["POST", "/things"].roles == {"maker"}
    assert declared["GET", "/open"].reason
    assert declared["POST", "/operations/republish"].roles == {"operator"}
    schema = things.app.openapi()
    assert schema["paths"]["/things"]["post"]["x-access"]["roles"] == ["maker"]


def test_a_route_nobody_declared_stops_the_start() -> None:
    app = FastAPI()

    @app.get("/forgotten")
    async def forgotten() -> None: ...

    with pytest.raises(UndeclaredAccess, match="/forgotten"):
        install(app, (), {})
    with pytest.raises(TypeError, match="access"):
        Routes().get("/x")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="at least one"):
        allow()


async def test_writes_are_refused_while_events_pile_up(things: Component, maker: httpx.AsyncClient) -> None:
    things.runtime.gate.unsent = things.runtime.gate.limit
    refused = await maker.post("/things", json={"id": "a"}, headers=new("1"))
    assert is_problem(refused, 503)
    assert int(refused.headers["retry-after"]) > 0
    things.runtime.gate.unsent = 0
    assert (await maker.post("/things", json={"id": "a"}, headers=new("1"))).status_code == 201


async def test_events_with_a_place_ahead_of_the_clock_grow_old_too(things: Component) -> None:
    journal, gate = things.runtime.database["journal"], things.runtime.gate
    ahead = time.time_ns() // 1_000 + 86_400_000_000

    async def age() -> float:
        await gate.look(things.runtime.journal)
        return gate.age

    assert await age() == 0.0
    await journal.insert_many([{"_id": str(n), "unsent": True, "pos": ahead + n} for n in range(2)])
    first = await age()
    assert await age() > first
    await journal.update_one({"_id": "0"}, {"$unset": {"unsent": ""}})
    before = gate.age
    assert await age() < before, "one was sent: it moves"
    await journal.delete_many({})
    assert await age() == 0.0
