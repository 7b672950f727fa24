"""Who may use which route: every route against every role, and nobody without a token."""

import pytest
from rapport_chassis.http.routes import declared_access

ROLES = ("engagement-officer", "researcher", "collector", "analyst", "operator", "auditor", "director")
RESEARCHER = {"researcher"}
COLLECTORS = {"researcher", "collector"}
READERS = {"researcher", "collector", "analyst", "auditor"}
ID = "01900000-0000-7000-8000-000000000000"

MATRIX = {
    ("POST", "/instruments"): RESEARCHER,
    ("GET", "/instruments"): READERS,
    ("GET", "/instruments/{code}/{version}"): READERS,
    ("POST", "/waves"): RESEARCHER,
    ("GET", "/waves"): READERS,
    ("GET", "/waves/{id}"): READERS,
    ("POST", "/waves/{id}/close"): RESEARCHER,
    ("POST", "/waves/{id}/responses"): COLLECTORS,
    ("POST", "/waves/{id}/responses/import"): COLLECTORS,
    ("GET", "/waves/{id}/responses/count"): READERS,
}


def test_the_table_has_every_route_of_this_service(feedback):
    ours = {route.path for route in feedback.service.routes[0].router.routes}
    declared = {(method, path): access for method, path, access in declared_access(feedback.app) if path in ours}
    assert {key: set(access.roles) for key, access in declared.items()} == MATRIX


@pytest.mark.parametrize(("method", "path"), MATRIX)
async def test_access(feedback, method, path):
    url = path.format(id=ID, code="tracker", version=1)
    async with feedback.http() as nobody:
        assert (await nobody.request(method, url)).status_code == 401
    for role in ROLES:
        async with feedback.http(role) as client:
            status = (await client.request(method, url)).status_code
        assert (status != 403) == (role in MATRIX[method, path]), role
        assert status != 500
