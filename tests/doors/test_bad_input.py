"""Every row of the catalogue at every door of every service: refused as it says, and nothing happened."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from rapport_cli.documents.house import House, app_of

from tests.doors.catalogue import MARK, ROWS, Bad, Row, bad, fields
from tests.doors.conftest import Site
from tests.doors.door import Door, doors, put

INSIDE = re.compile(
    r"Traceback|\.py\b|pydantic|pymongo|rapport_|site-packages|/src/|0x[0-9a-f]{8}|mongodb|\b[A-Z]\w+Error\b"
)
"""What no answer may tell of: how it is made."""

SECONDS = 20
ASKED = [row for row in ROWS if row.asks is not None]


def bad_requests(row: Row, house: Site) -> Iterator[tuple[Door, Bad]]:
    assert row.asks is not None
    for door in house.doors:
        for request in row.asks(door):
            yield door, request


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, marks=() if row.waits else pytest.mark.catalogue(row.name)) for row in ASKED],
    ids=lambda row: row.name,
)
async def test_bad_input_is_refused_and_changes_nothing(house: Site, row: Row) -> None:
    before = await house.state()
    wrong = []
    for door, request in bad_requests(row, house):
        async with house.http(*(door.roles or ["none"])) as http:
            if complaint := await refused(http, request):
                wrong.append(f"{door}: {request.what}: {complaint}")
    assert not wrong, f"{len(wrong)} wrong\n" + "\n".join(wrong[:60])
    assert await house.state() == before


async def refused(http: httpx.AsyncClient, request: Bad) -> str | None:  # noqa: PLR0911 - one of each complaint
    """What is wrong with the answer, None where it is as it must be."""
    content = request.content() if callable(request.content) else request.content
    try:
        async with asyncio.timeout(SECONDS):
            answer = await http.request(
                request.method, request.url, headers=http_headers(http, request), content=content
            )
    except TimeoutError:
        return f"no answer in {SECONDS} s"
    if answer.status_code != request.status:
        return f"{answer.status_code}, not {request.status}: {answer.text[:200]}"
    if answer.headers["content-type"] != "application/problem+json" or answer.json()["status"] != request.status:
        return f"no problem: {answer.text[:200]}"
    if found := INSIDE.search(answer.text):
        return f"tells of the inside ({found[0]}): {answer.text[:200]}"
    if MARK in answer.text.replace(f"/{MARK}", ""):
        return f"quotes the input: {answer.text[:200]}"
    if request.header and request.header not in answer.headers:
        return f"without {request.header}"
    if request.pointer is not None:
        pointers = [error["pointer"] for error in answer.json().get("errors", ())]
        if not any(pointer.startswith(request.pointer) for pointer in pointers):
            return f"does not point at {request.pointer}: {answer.text[:300]}"
    return None


def http_headers(http: httpx.AsyncClient, request: Bad) -> list[tuple[str, str | bytes]]:
    usual = [(name, value) for name, value in http.headers.items() if name == "authorization"]
    return [*usual, *request.headers]


def test_the_table_is_whole() -> None:
    """B1 to B40; each is asked here, proved elsewhere, or says what it waits for."""
    assert [row.number for row in ROWS] == list(range(1, 41))
    for row in ROWS:
        assert row.asks or row.elsewhere or row.waits, row.name


def test_a_row_that_waits_is_about_nothing_yet() -> None:
    """The day a route makes such a row apply, this fails: the row needs its `waits` no more."""
    every = [door for s in House.load().services for door in doors(s.name, app_of(s).openapi(), {})]
    for row in ROWS:
        if row.waits is not None and row.asks is not None:
            assert not [door for door in every for _ in row.asks(door)], f"{row.name} applies now"
    assert not [door for door in every if "text/csv" in door.produces], "B35 applies now: a route exports CSV"


def good(door: Door, key: str) -> dict[str, Any]:
    """Arguments of a request that is taken; where it is not, tests/doors/known.py lacks what the domain wants."""
    return {"url": door.url(), "json": door.body(), "headers": {"Idempotency-Key": key}}


@pytest.mark.catalogue("B40")
async def test_a_key_is_one_request(house: Site) -> None:
    """B40: raced it has one effect, reused it is refused, and another's key is another key."""
    for door in house.doors:
        if not (door.needs("idempotency-key") and door.takes_json):
            continue
        async with house.http(*door.roles) as http, house.http(*door.roles, subject="another") as other:
            key = f"doors{door.path}"
            first, twin = await asyncio.gather(*(http.post(**good(door, key)) for _ in range(2)))
            assert first.is_success, f"{door}: {first.text}"
            assert first.status_code == twin.status_code, door
            both = first.json().keys() & twin.json().keys()  # a secret is shown once
            assert both, door
            assert all(first.json()[name] == twin.json()[name] for name in both), door
            after = await house.state()
            request = good(door, key)
            name = next(name for name, value in request["json"].items() if value is not None)
            reused = await http.post(**{**request, "json": {**request["json"], name: None}})
            assert reused.status_code == 422, f"{door}: {reused.text}"
            assert await house.state() == after
            others = await other.post(**good(door, key))
            assert "idempotency-replayed" not in others.headers, door


MARKUP = "<script>alert(1)</script>{{7*7}}${7*7}((name))%s{0}"


@pytest.mark.catalogue("B34")
async def test_markup_stays_text(house: Site) -> None:
    """B34: nothing that a browser or a template would run; what it says in a message is the templates' own test."""
    for door in house.doors:
        for place, body in fields(door, lambda place: place.only("string") and not (place.enum or place.format)):
            async with house.http(*door.roles) as http:
                sent = bad(door, MARKUP, 0, body=put(body, place.pointer, MARKUP))
                answer = await http.request(
                    sent.method,
                    sent.url,
                    headers=http_headers(http, sent),
                    content=json.dumps(put(body, place.pointer, MARKUP)),
                )
            assert answer.status_code < 500, f"{door} {place.text}: {answer.text}"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-type"] in {"application/json", "application/problem+json"}


@pytest.mark.catalogue("B38")
async def test_logs_hold_no_lines_from_outside(house: Site, capfd: pytest.CaptureFixture[str]) -> None:
    """B38: not even the words, let alone a line of their own or a colour."""
    forged = 'x\n{"event": "forged"}\x1b[31m'
    for door in house.doors:
        async with house.http(*(door.roles or ["none"])) as http:
            for sent in (
                *(bad(door, forged, 0, query=f"{p.name}={quote(forged)}") for p in door.parameters("query")),
                *(bad(door, forged, 0, url=door.url(**{p.name: quote(forged)})) for p in door.parameters("path")),
                *(
                    bad(door, forged, 0, body=put(body, p.pointer, forged))
                    for p, body in fields(door, lambda p: p.only("string"))
                ),
                bad(door, forged, 0, method="FORGED"),
                bad(door, forged, 0, url=f"{door.url()}/{quote(forged)}"),
            ):
                content = sent.content if isinstance(sent.content, bytes) else None
                await http.request(sent.method, sent.url, headers=http_headers(http, sent), content=content)
    said = capfd.readouterr()
    assert "forged" not in said.out.lower() + said.err.lower()


@pytest.mark.catalogue("B21")
def test_everything_that_is_taken_has_a_bound() -> None:
    """B21: texts, lists and maps in bodies. The data of an event that an operator mends have the body's own."""
    for service in House.load().services:
        for door in doors(service.name, app_of(service).openapi(), {}):
            for place in door.places() if door.takes_json else ():
                where = f"{service.name}: {door}: {place.text}"
                for schema in place.schemas:
                    match schema.get("type"):
                        case "string":
                            assert (
                                schema.keys() & {"maxLength", "enum", "format", "pattern"} or place.text == "/weight"
                            ), where
                        case "array":
                            assert "maxItems" in schema, where
                        case "object" if "properties" not in schema:
                            assert "maxProperties" in schema or schema.get("additionalProperties") is True, where
