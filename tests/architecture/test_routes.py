"""Nobody gets in by accident: every route says who may use it, and the roles are those that exist."""

import pytest
from fastapi import FastAPI
from rapport_chassis.http.routes import UndeclaredAccess, declared_access
from rapport_cli.commands.token import ROLES
from rapport_cli.documents.access import access_page
from rapport_cli.documents.house import House, app_of

from tests.architecture.source import ROOT, SERVICES

OPERATIONS = {
    ("GET", "/operations/dead-letters"),
    ("GET", "/operations/dead-letters/{letter:path}"),
    ("POST", "/operations/dead-letters/replay"),
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


@pytest.mark.parametrize("name", SERVICES)
def test_operations_are_for_operators(house: House, name: str) -> None:
    service = next(service for service in house.services if service.name == name)
    found = {(method, path): access for method, path, access in declared_access(app_of(service))}
    assert {place for place in found if place[1].startswith("/operations")} == OPERATIONS
    assert all(found[place].roles == {"operator"} for place in OPERATIONS)


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
