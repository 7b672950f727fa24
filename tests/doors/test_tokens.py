"""Bad tokens at every door of every service, against the verification that runs there and an issuer that publishes keys."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn
from rapport_chassis.access import TokenVerifier
from rapport_stack import ports
from rapport_stack.issuer import Issuer
from starlette.applications import Starlette

from tests.doors.catalogue import bad
from tests.doors.conftest import Site
from tests.doors.door import Door

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Attempt:
    """Headers and query of a request that must be answered 401."""

    row: str
    what: str
    headers: Headers
    query: str = ""


def attempts(issuer: Issuer, stranger: Issuer, roles: list[str]) -> Iterator[Attempt]:
    """One or more for each row of the catalogue that is about what a request brings along."""

    def bearing(row: str, what: str, token: str) -> Attempt:
        return Attempt(row, what, [("authorization", f"Bearer {token}")])

    def token(**claims: Any) -> str:
        return issuer.token("tester", roles, extra=claims)

    now = int(time.time())
    good = token()
    head, payload, signature = good.split(".")
    yield Attempt("A1", "no token", [])
    yield from (
        Attempt("A1", repr(said), [("authorization", said)]) for said in ("", "Bearer", "Bearer ", "Basic eDp5")
    )
    yield bearing("A2", "expired", token(exp=now - 3600))
    yield bearing("A2", "not yet good", token(nbf=now + 3600))
    yield bearing("A2", "issued in the future", token(iat=now + 3600))
    yield bearing("A4", "of a key that is not the issuer's", stranger.token("tester", roles))
    yield bearing("A5", "of another issuer", token(iss="https://elsewhere.example"))
    yield bearing("A5", "for another audience", token(aud="another"))
    yield bearing("A6", "an ID token", token(nonce="x", at_hash="x"))
    yield bearing("A6", "a refresh token", token(typ="Refresh"))
    yield bearing("A7", "signature cut short", f"{head}.{payload}.{signature[:-6]}")
    yield bearing("A7", "another payload", f"{head}.{payload[:-4]}AAAA.{signature}")
    yield bearing("A7", "a dot too many", f"{good}.{signature}")
    yield bearing("A7", "100 KB", "x" * 100_000)
    yield bearing("A9", "good for a year", token(exp=now + 365 * 86_400))
    yield Attempt("A10", "in the URL", [], query=f"access_token={good}")
    yield Attempt("A10", "in the URL beside a good one", [("authorization", f"Bearer {good}")], f"access_token={good}")
    claimed = [("x-user-id", "tester"), ("x-roles", ",".join(roles)), ("x-forwarded-user", "tester")]
    yield Attempt("A12", "claimed by headers", [*claimed, ("x-forwarded-for", "127.0.0.1"), ("forwarded", "for=::1")])


ROWS = ("A1", "A2", "A4", "A5", "A6", "A7", "A9", "A10", "A12")


@pytest.fixture(scope="session")
async def issuers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Issuer, Issuer]]:
    """One that publishes its keys, and one that only says that it is the same."""
    (port,) = ports.choose(1)
    issuer = Issuer(tmp_path_factory.mktemp("issuer"), f"http://127.0.0.1:{port}")
    forger = Issuer(tmp_path_factory.mktemp("forger"), issuer.url)
    app = Starlette(routes=issuer.routes())
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        assert not serving.done(), serving.result()
        await asyncio.sleep(0.01)
    yield issuer, forger
    server.should_exit = True
    await serving


@asynccontextmanager
async def knocking(house: Site, issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service while it listens to this issuer."""
    state = house.component.app.state
    usual, state.verifier = state.verifier, TokenVerifier(issuer.url, "rapport", look_every=0.05)
    try:
        async with house.http() as http:
            yield http
    finally:
        await state.verifier.close()
        state.verifier = usual


@pytest.mark.parametrize("row", [pytest.param(row, marks=pytest.mark.catalogue(row)) for row in ROWS])
async def test_bad_tokens_open_no_door(
    house: Site, issuers: tuple[Issuer, Issuer], row: str, capfd: pytest.CaptureFixture[str]
) -> None:
    issuer, forger = issuers
    before = await house.state()
    closed = [door for door in house.doors if door.roles]
    tries = [(door, each) for door in closed for each in attempts(issuer, forger, door.roles) if each.row == row]
    async with knocking(house, issuer) as http:
        answers = [(f"{door}, {each.what}", await refused(http, door, each)) for door, each in tries]
    wrong = [f"{what}: {complaint}" for what, complaint in answers if complaint]
    assert not wrong, f"{len(wrong)} wrong\n" + "\n".join(wrong[:40])
    assert await house.state() == before
    said = capfd.readouterr()
    assert "eyJ" not in said.out + said.err, "a token stands in a log"


async def refused(http: httpx.AsyncClient, door: Door, attempt: Attempt) -> str | None:
    request = bad(door, attempt.what, 401)
    url = f"{request.url}{'&' if '?' in request.url else '?'}{attempt.query}" if attempt.query else request.url
    others = [(name, value) for name, value in request.headers if name.lower() != "authorization"]
    answer = await http.request(request.method, url, headers=[*others, *attempt.headers], content=request.content)
    if answer.status_code != 401:
        return f"{answer.status_code}: {answer.text[:200]}"
    if not answer.headers["www-authenticate"].startswith("Bearer"):
        return f"WWW-Authenticate: {answer.headers['www-authenticate']}"
    if "eyJ" in answer.text:
        return "the answer quotes the token"
    return None
