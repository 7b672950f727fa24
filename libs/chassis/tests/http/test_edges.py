"""The kit at its edges, without a store: what the framework alone would let through or say in its own words."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.sse import EventSourceResponse, format_sse_event
from prometheus_client import REGISTRY
from pydantic import BaseModel, ConfigDict, Field
from pymongo.errors import ServerSelectionTimeoutError
from rapport_chassis.access import Principal, Unauthenticated
from rapport_chassis.http import IdempotencyKey, IfMatch, Response, Routes, allow, public
from rapport_chassis.http.body import lines
from rapport_chassis.http.health import private_app
from rapport_chassis.http.kit import install
from rapport_chassis.http.pagination import cursor_of, place_of
from rapport_chassis.http.problems import Unexpected
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

routes = Routes(prefix="/edges")
OPEN = public("a test")
LIMIT = 2_000


class Round(BaseModel):
    kind: Literal["round"]


class Square(BaseModel):
    kind: Literal["square"]


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    shape: Annotated[Round | Square, Field(discriminator="kind")] | None = None
    rest: Any = None


@routes.post("/shapes", access=OPEN, view=dict[str, Any])
async def post(shape: Shape) -> dict[str, Any]:
    return {"shape": None if shape.shape is None else shape.shape.kind}


@routes.put("/shapes", access=OPEN, view=dict[str, int])
async def put(shape: Shape, if_match: IfMatch, _: IdempotencyKey) -> dict[str, int]:
    return {"version": if_match}


@routes.get("/shapes", access=OPEN, view=dict[str, str])
async def get() -> Response:
    return Response("{}", headers={"ETag": '"3"', "Cache-Control": "public, max-age=60"}, media_type="application/json")


@routes.get("/found", access=OPEN, view=dict[str, str])
async def found(limit: int = 1, word: Annotated[list[str] | None, Query()] = None) -> dict[str, str]:
    return {}


@routes.get("/closed", access=allow("maker"), view=dict[str, str])
async def closed() -> dict[str, str]:
    return {}


@routes.post("/lines", access=OPEN, view=list[Any], streaming=True)
async def count(request: Request) -> list[Any]:
    return [(number, None if line is None else len(line)) async for number, line in lines(request, 1_000)]


@routes.get("/events", access=OPEN, response_class=EventSourceResponse)
async def events() -> EventSourceResponse:
    return EventSourceResponse(chunks(format_sse_event(data_str='{"n": 1}', event="changed", id="1")))


@routes.get("/away", access=OPEN, view=dict[str, str])
async def away() -> dict[str, str]:
    raise ServerSelectionTimeoutError("mongodb.internal:27017 refused")


@routes.get("/half", access=OPEN, response_class=EventSourceResponse)
async def half() -> EventSourceResponse:
    async def stream() -> AsyncIterator[bytes]:
        yield format_sse_event(data_str="1")
        raise RuntimeError("hunter2")

    return EventSourceResponse(stream())


class Anyone:
    """A verifier for whom the token is the role."""

    async def verify(self, token: str) -> Principal:
        if token == "none":
            raise Unauthenticated("no such token")
        return Principal("somebody", frozenset({token}))


@pytest.fixture(scope="module")
def app() -> FastAPI:
    app = FastAPI()
    app.state.verifier = Anyone()
    install(app, (routes,), {}, body_limit=LIMIT)
    return app


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://example.org") as client:
        yield client


def is_problem(response: httpx.Response, status: int) -> bool:
    kind = response.headers["content-type"]
    return response.status_code == status == response.json()["status"] and kind == "application/problem+json"


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"rest": "\\ud800"}', 400),  # B22
        (b'{"\\udfff": 1}', 400),
        (b'{"rest": [{"a": "\\u0000"}]}', 422),
        (b'{"\\u001b[31m": 1}', 422),
        (b'{"rest": "\x7f"}', 422),
        ('{"rest": "\u202e"}'.encode(), 422),
        (b'{"rest": 9223372036854775808}', 422),  # B10: one more than MongoDB stores
        (b'{"rest": -9223372036854775809}', 422),
    ],
)
async def test_what_could_not_be_stored_or_read_is_refused(http: httpx.AsyncClient, body: bytes, status: int) -> None:
    response = await http.post("/edges/shapes", content=body, headers={"Content-Type": "application/json"})
    assert is_problem(response, status), response.text


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=5", 200),
        ("limit=9223372036854775808", 422),  # B10
        ("limit=5&limit=6", 422),
        ("unknown=1", 422),
        ("limit[$ne]=1", 422),  # B30
        ("word=a&word=b", 200),
        ("word=%00", 422),
        ("word=%ff", 422),
        ("word=caf%C3%A9", 200),
        ("word=" + "x" * 9_000, 414),
    ],
)
async def test_a_query_holds_what_the_route_declares(http: httpx.AsyncClient, query: str, status: int) -> None:
    response = await http.get(f"/edges/found?{query}")
    assert response.status_code == status, response.text
    assert status == 200 or is_problem(response, status)


async def test_a_slash_in_disguise_is_no_slash(http: httpx.AsyncClient) -> None:  # B20
    assert is_problem(await http.get("http://example.org/edges%2Ffound"), 404)
    assert is_problem(await http.get("http://example.org/edges%2ffound"), 404)


@pytest.mark.parametrize("body", [b'{"rest": "\\ud83d\\ude00"}', b'{"rest": -9223372036854775808}', b'{"rest": "[[{"}'])
async def test_what_only_looks_odd_is_taken(http: httpx.AsyncClient, body: bytes) -> None:
    response = await http.post("/edges/shapes", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 201, response.text


async def test_too_long_by_its_own_word_is_not_even_read(http: httpx.AsyncClient) -> None:  # B1
    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    headers = {"Content-Type": "application/json", "Content-Length": str(LIMIT + 1)}
    request = http.build_request("POST", "/edges/shapes", content=unread(), headers=headers)
    assert is_problem(await http.send(request), 413)
    request.headers["Content-Length"] = "9" * 5_000
    assert is_problem(await http.send(request), 413)


async def test_too_long_by_count(http: httpx.AsyncClient) -> None:  # B2
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b" " * 500

    response = await http.post("/edges/shapes", content=endless(), headers={"Content-Type": "application/json"})
    assert is_problem(response, 413)
    assert taken == LIMIT // 500 + 1


async def test_a_stream_may_be_long_and_its_lines_may_not(http: httpx.AsyncClient) -> None:
    many = b"x" * 900 + b"\r\n"
    body = chunks(many, many, many, b"y" * 700, b"y" * 700, b"y\nz", b"\n\nlast")
    response = await http.post("/edges/lines", content=body)
    assert response.json() == [[1, 900], [2, 900], [3, 900], [4, None], [5, 1], [6, 0], [7, 4]]
    assert (await http.post("/edges/lines", content=chunks(b"y" * 1_001))).json() == [[1, None]]
    assert (await http.post("/edges/lines", content=b"")).json() == []


async def test_all_methods_of_a_path_are_named(http: httpx.AsyncClient) -> None:  # B19
    for method in ("DELETE", "TRACE", "BREW"):
        response = await http.request(method, "/edges/shapes")
        assert is_problem(response, 405)
        assert response.headers["allow"] == "GET, POST, PUT"


@pytest.mark.parametrize(
    "path", ["/edges/shapes/", "//edges/shapes", "/edges//shapes", "/Edges/shapes", "/edges/shapes;a=1"]
)
async def test_a_resource_has_one_path(http: httpx.AsyncClient, path: str) -> None:  # B20
    assert is_problem(await http.get("http://example.org" + path), 404)


async def test_errors_quote_nothing_and_are_not_endless(http: httpx.AsyncClient) -> None:
    response = await http.post("/edges/shapes", json={"shape": {"kind": "hunter2"}})
    assert is_problem(response, 422)
    assert "hunter2" not in response.text
    response = await http.post("/edges/shapes", json={f"x{n}": 1 for n in range(150)})
    assert is_problem(response, 422)
    assert len(response.json()["errors"]) == 50
    response = await http.post("/edges/shapes", json={"~/" * 500: 1})
    assert response.json()["errors"][0]["pointer"].startswith("/body/~0~1~0~1")
    assert len(response.json()["errors"][0]["pointer"]) == 200


async def test_refused_media_says_what_is_taken(http: httpx.AsyncClient) -> None:  # B12, B13
    response = await http.post("/edges/shapes", content=b"{}", headers={"Content-Type": "text/plain"})
    assert is_problem(response, 415)
    assert response.headers["accept"] == "application/json"
    response = await http.post("/edges/lines", content=b"{}", headers={"Content-Encoding": "gzip"})
    assert is_problem(response, 415)
    assert response.headers["accept-encoding"] == "identity"
    twice = [("Content-Type", "application/json"), ("Content-Type", "text/plain")]
    assert is_problem(await http.post("/edges/shapes", content=b"{}", headers=twice), 415)


async def test_the_token_comes_first_and_only_in_its_header(http: httpx.AsyncClient) -> None:  # A1, A10
    for value in ("", "Bearer", "Bearer ", "Basic c2VjcmV0", "maker"):
        response = await http.get("/edges/closed", headers={"Authorization": value})
        assert is_problem(response, 401)
        assert response.headers["www-authenticate"] == "Bearer"
    for response in (
        await http.get("/edges/closed", params={"access_token": "maker"}),
        await http.get("/edges/closed", params={"access_token": "maker"}, headers={"Authorization": "Bearer maker"}),
        await http.get("/edges/closed", headers=[("Authorization", "Bearer maker"), ("Authorization", "Bearer x")]),
        await http.get("/edges/closed", headers={"Authorization": "Bearer none"}),
    ):
        assert is_problem(response, 401)
        assert response.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    refused = await http.get("/edges/closed", headers={"Authorization": "Bearer reader"})
    assert is_problem(refused, 403)
    assert refused.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
    assert (await http.get("/edges/closed", headers={"Authorization": "bearer maker"})).status_code == 200


async def test_what_the_client_has_is_not_sent_again(http: httpx.AsyncClient) -> None:
    for known in ('"3"', 'W/"3"', '"1", "3"', "*"):
        response = await http.get("/edges/shapes", headers={"If-None-Match": known})
        assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", '"3"')
    assert (await http.get("/edges/shapes", headers={"If-None-Match": '"4"'})).status_code == 200


async def test_no_answer_is_kept_or_guessed_at(http: httpx.AsyncClient) -> None:  # Z15
    for path in ("/edges/shapes", "/edges/events", "/nowhere", "/edges/away"):
        headers = (await http.get(path)).headers
        assert headers.get_list("cache-control") == ["no-store"]
        assert headers["x-content-type-options"] == "nosniff"


async def test_events_are_streamed(http: httpx.AsyncClient) -> None:
    response = await http.get("/edges/events")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.text == 'event: changed\ndata: {"n": 1}\nid: 1\n\n'


async def test_a_store_that_is_away_is_not_our_fault(http: httpx.AsyncClient) -> None:
    response = await http.get("/edges/away")
    assert is_problem(response, 503)
    assert int(response.headers["retry-after"]) > 0
    assert "internal" not in response.text


async def test_half_an_answer_ends_with_the_connection(http: httpx.AsyncClient) -> None:
    with pytest.raises((RuntimeError, ExceptionGroup)):
        await http.get("/edges/half")


async def test_requests_are_counted_by_template(http: httpx.AsyncClient) -> None:
    def count(route: str, status: str) -> float:
        labels = {"http_request_method": "GET", "http_route": route, "http_response_status_code": status}
        return REGISTRY.get_sample_value("http_server_request_duration_seconds_count", labels) or 0

    before = count("/edges/shapes", "200"), count("none", "404"), count("/edges/events", "200")
    await asyncio.gather(http.get("/edges/shapes"), http.get("/secret/path"), http.get("/edges/events"))
    assert (count("/edges/shapes", "200"), count("none", "404")) == (before[0] + 1, before[1] + 1)
    assert count("/edges/events", "200") == before[2]


def test_the_description_is_complete(app: FastAPI) -> None:
    schema = app.openapi()
    closed = schema["paths"]["/edges/closed"]["get"]
    assert closed["security"] == [{"bearer": []}]
    assert set(closed["responses"]["401"]["content"]) == {"application/problem+json"}
    assert schema["components"]["schemas"]["Problem"]["required"] == ["title", "status"]
    assert schema["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    needed = {p["name"].lower(): p["required"] for p in schema["paths"]["/edges/shapes"]["put"]["parameters"]}
    assert needed == {"if-match": True, "idempotency-key": True}
    assert app.openapi() is schema


def test_a_cursor_holds_only_what_can_be_sorted_by() -> None:
    for place in ([2**63], [True], [None], [1.5], [{"$gt": ""}], [["x"]]):
        with pytest.raises(HTTPException):
            place_of(cursor_of(place, {}), {}, 1)
    assert place_of(cursor_of([-(2**63)], {}), {}, 1) == (-(2**63),)


async def test_the_private_port() -> None:
    health: dict[str, Any] = {"live": True, "reason": None}

    async def status() -> dict[str, Any]:
        return {"unsent": 0}

    private = private_app(live=lambda: health["live"], ready={"store": lambda: health["reason"]}, status=status)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(private), base_url="http://example.org") as http:
        assert (await http.get("/livez")).status_code == 200
        assert (await http.get("/readyz")).json() == {"ready": True, "reasons": {}}
        assert "http_server_request_duration_seconds" in (await http.get("/metrics")).text
        assert (await http.get("/status")).json() == {"unsent": 0}
        health.update(live=False, reason="away")
        assert (await http.get("/livez")).status_code == 503
        unready = await http.get("/readyz")
        assert (unready.status_code, unready.json()["reasons"]) == (503, {"store": "away"})


async def test_who_hangs_up_is_no_fault_of_ours(capfd: pytest.CaptureFixture[str]) -> None:
    said: list[int] = []

    async def hung_up(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ClientDisconnect

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            said.append(message["status"])

    await Unexpected(hung_up)({"type": "http"}, receive, send)
    assert said == [400]
    assert capfd.readouterr() == ("", "")
