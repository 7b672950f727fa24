"""Nobody gets in by accident: every route says who may use it, and the roles are those that exist."""

import re
import time
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from rapport_chassis.access import TokenVerifier
from rapport_chassis.allowances import RULES
from rapport_chassis.http.routes import UndeclaredAccess, declared_access
from rapport_cli.commands.token import ROLES
from rapport_cli.documents.access import access_page
from rapport_cli.documents.house import House, app_of
from structlog.testing import capture_logs

from tests.architecture.source import ROOT, SERVICES

OPERATIONS = {
    ("GET", "/operations/heard"),
    ("GET", "/operations/outstanding"),
    ("GET", "/operations/dead-letters"),
    ("GET", "/operations/dead-letters/{letter:path}"),
    ("POST", "/operations/dead-letters/replay"),
    ("GET", "/operations/replays"),
    ("POST", "/operations/republish"),
}


@pytest.mark.parametrize("name", SERVICES)
def test_every_route_declares_its_access(house: House, name: str) -> None:
    service = next(service for service in house.services if service.name == name)
    routes = list(declared_access(app_of(service)))
    assert routes
    for method, path, access in routes:
        assert access.roles <= set(ROLES), f"{method} {path}"
        assert bool(access.roles) != bool(access.reason), f"{method} {path}: roles, or public for a reason"


@pytest.mark.catalogue("Z6")
@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.catalogue("Z6")
def test_operations_are_for_operators(house: House, name: str) -> None:
    service = next(service for service in house.services if service.name == name)
    found = {(method, path): access for method, path, access in declared_access(app_of(service))}
    assert {place for place in found if place[1].startswith("/operations")} == OPERATIONS
    assert all(found[place].roles == {"operator"} and not found[place].regional for place in OPERATIONS)


@pytest.fixture
def quiet() -> Iterator[None]:
    """Without the traces of errors that are meant to happen."""
    with capture_logs():
        yield


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.catalogue("Z1", "Z5", "A1")
async def test_each_role_is_let_in_or_kept_out(house: House, name: str) -> None:
    """Every route, without a token and with each role; with nothing behind it, so whoever is let in meets an error."""
    app = app_of(next(service for service in house.services if service.name == name))
    key = ECKey.generate_key("P-256", {"kid": "test", "use": "sig"}, private=True)
    app.state.verifier.trust(KeySet([key]))
    tokens = {role: _token(key, app.state.verifier, role) for role in ROLES}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
        for method, path, access in declared_access(app):
            url = re.sub(r"{[^}]*}", "x", path)
            if access.roles:
                assert (await client.request(method, url)).status_code == 401, url
            allowed = set()
            for role, token in tokens.items():
                status = (await client.request(method, url, headers={"Authorization": f"Bearer {token}"})).status_code
                assert status != 401, url
                if status != 403:
                    allowed.add(role)
            assert allowed == (access.roles or set(ROLES)), f"{method} {path}"


def _token(key: ECKey, verifier: TokenVerifier, role: str) -> str:
    now = int(time.time())
    claims = {
        "iss": verifier.issuer,
        "aud": verifier.audience,
        "sub": "x",
        "iat": now,
        "exp": now + 600,
        "roles": [role],
    }
    return jwt.encode({"alg": "ES256", "kid": key.kid, "typ": "at+jwt"}, claims, key)


@pytest.mark.catalogue("Z1")
def test_a_route_without_access_is_refused() -> None:
    app = FastAPI()
    app.get("/open")(lambda: None)
    with pytest.raises(UndeclaredAccess):
        list(declared_access(app))


def test_the_table_of_the_documents_is_that_of_the_routes(house: House) -> None:
    table = (ROOT / "docs/access.md").read_text(encoding="utf-8")
    assert table == access_page(house), "write it anew: make docs"
    for service in house.services:
        for method, path, _ in declared_access(app_of(service)):
            assert f"`{method} {path}`" in table


def test_every_role_opens_something(house: House) -> None:
    used = {
        role for service in house.services for _, _, access in declared_access(app_of(service)) for role in access.roles
    }
    assert used == set(ROLES)


@pytest.mark.catalogue("Z13")
@pytest.mark.parametrize("name", SERVICES)
def test_every_route_has_a_limit(house: House, name: str) -> None:
    """One that a route is given by being declared at all, and one of its own where it is for the hundred."""
    app = app_of(next(service for service in house.services if service.name == name))
    limits = {
        (method.upper(), path): operation["x-limit"]
        for path, operations in app.openapi()["paths"].items()
        for method, operation in operations.items()
    }
    assert set(limits.values()) <= RULES.keys()
    assert all((limit == "reads") == (method == "GET") for (method, _), limit in limits.items())
