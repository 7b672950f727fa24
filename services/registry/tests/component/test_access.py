"""Who may use which route: every route against every role, and nobody without a token."""

import pytest
from rapport_chassis.http.routes import declared_access

ROLES = ("engagement-officer", "researcher", "collector", "analyst", "operator", "auditor", "director")
OFFICER = {"engagement-officer"}
READERS = {"engagement-officer", "researcher", "analyst", "auditor", "director"}
ID = "01900000-0000-7000-8000-000000000000"

MATRIX = {
    ("POST", "/stakeholders"): OFFICER,
    ("GET", "/stakeholders"): READERS,
    ("GET", "/stakeholders/{id}"): READERS,
    ("PATCH", "/stakeholders/{id}"): OFFICER,
    ("DELETE", "/stakeholders/{id}"): OFFICER,
    ("POST", "/stakeholders/{id}/consents"): OFFICER,
    ("DELETE", "/stakeholders/{id}/consents/{purpose}/{channel}"): OFFICER,
    ("POST", "/stakeholders/import"): OFFICER,
    ("GET", "/reference"): set(ROLES),
    ("GET", "/segments"): READERS,
}


def test_the_table_has_every_route_of_this_service(registry):
    ours = {route.path for routes in registry.service.routes for route in routes.router.routes}
    declared = {(method, path): access for method, path, access in declared_access(registry.app) if path in ours}
    assert {key: set(access.roles) for key, access in declared.items()} == MATRIX


@pytest.mark.parametrize(("method", "path"), MATRIX)
async def test_access(registry, method, path):
    url = path.format(id=ID, purpose="updates", channel="email")
    async with registry.http() as nobody:
        assert (await nobody.request(method, url)).status_code == 401
    for role in ROLES:
        async with registry.http(role) as client:
            status = (await client.request(method, url)).status_code
        assert (status != 403) == (role in MATRIX[method, path]), role
        assert status != 500
