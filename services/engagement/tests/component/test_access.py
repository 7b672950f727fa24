"""Who may use which route: every role at every route, and the same table for the reader."""

import pytest
from engagement.main import SERVICE
from rapport_chassis.http.routes import declared_access
from rapport_chassis.settings import ServiceSettings

ROLES = ("engagement-officer", "director", "analyst", "auditor", "researcher", "collector", "operator")
READERS = {"engagement-officer", "director", "analyst", "auditor"}

MATRIX = {
    ("PUT", "/plan"): {"engagement-officer"},
    ("GET", "/plan"): READERS,
    ("POST", "/contacts"): {"engagement-officer"},
    ("GET", "/contacts"): READERS,
    ("GET", "/contacts/{id}"): READERS,
    ("GET", "/contacts/{id}/notes"): {"engagement-officer", "director"},
    ("POST", "/exercises"): {"engagement-officer"},
    ("GET", "/exercises"): READERS,
    ("GET", "/exercises/{id}"): READERS,
    ("POST", "/exercises/{id}/reply"): {"engagement-officer", "director"},
    ("GET", "/exercises/{id}/receipts"): READERS,
    ("GET", "/reference"): READERS,
}


def test_every_route_of_this_service_is_in_the_matrix():
    app = SERVICE.app(ServiceSettings(service="engagement"))
    declared = {
        (method, path): set(access.roles)
        for method, path, access in declared_access(app)
        if not path.startswith("/operations")
    }
    assert declared == MATRIX


@pytest.mark.parametrize(("method", "path"), MATRIX, ids=lambda part: part)
async def test_each_role_is_let_in_or_kept_out(service, method, path):
    url = path.replace("{id}", "none")
    allowed = set()
    for role in ROLES:
        async with service.http(role) as client:
            answer = await client.request(method, url, json={} if method != "GET" else None)
        if answer.status_code != 403:
            allowed.add(role)
    assert allowed == MATRIX[method, path]
    async with service.http() as nobody:
        answer = await nobody.request(method, url)
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
