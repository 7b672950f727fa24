"""From HTTP to what is stored and told."""

import pytest
from rapport_chassis.http.routes import declared_access
from rapport_chassis.testing import Component
from rapport_events.notifications import Subscribed, Unsubscribed

from services.notifications.tests.house import SOMEBODY, VERDICTS, erased, granted, verdict

MAIL = {"event_types": [VERDICTS], "channel": "email", "address": "press@example.org"}
HOOK = {"event_types": [VERDICTS], "channel": "webhook", "address": "https://example.org/hook"}

EVERYONE = {"engagement-officer", "researcher", "collector", "analyst", "operator", "auditor", "director"}
READERS = {"engagement-officer", "operator", "auditor"}
ACCESS = {
    ("POST", "/subscriptions"): {"engagement-officer"},
    ("GET", "/subscriptions"): READERS,
    ("GET", "/subscriptions/{id}"): READERS,
    ("DELETE", "/subscriptions/{id}"): {"engagement-officer"},
    ("GET", "/messages"): READERS | {"analyst"},
}


async def post(client, body, key="k1"):
    return await client.post("/subscriptions", json=body, headers={"Idempotency-Key": key})


async def stored(running: Component) -> str:
    """Everything in the service's database, as text."""
    database = running.runtime.database
    names = await database.list_collection_names()
    return str([document for name in names async for document in database[name].find()])


async def test_subscribe_read_list_and_unsubscribe(running: Component):
    async with running.http("engagement-officer") as client:
        answer = await post(client, {**MAIL, "stakeholder_id": SOMEBODY})
        assert answer.status_code == 201
        made = answer.json()
        assert answer.headers["etag"] == '"1"'
        assert made["secret"] is None
        assert made["state"] == "active"
        assert "address" not in made

        read = await client.get(f"/subscriptions/{made['id']}")
        assert read.json() == {name: value for name, value in made.items() if name != "secret"}
        listed = await client.get("/subscriptions", params={"stakeholder": SOMEBODY, "state": "active"})
        assert [item["id"] for item in listed.json()["items"]] == [made["id"]]

        for _ in range(2):
            ended = await client.delete(f"/subscriptions/{made['id']}")
            assert (ended.status_code, ended.content) == (204, b"")
        assert (await client.get(f"/subscriptions/{made['id']}")).json()["state"] == "unsubscribed"
    assert [type(event) for event in await running.events()] == [Subscribed, Unsubscribed]
    assert "press@example.org" not in await stored(running)


async def test_a_webhook_secret_is_shown_once_and_stored_nowhere_in_clear(running: Component):
    async with running.http("engagement-officer") as client:
        first = await post(client, HOOK)
        secret = first.json()["secret"]
        assert secret.startswith("whsec_")
        again = await post(client, HOOK)
        assert again.headers["idempotency-replayed"] == "true"
        assert again.status_code == 201
        assert again.json() == {name: value for name, value in first.json().items() if name != "secret"}
        assert secret not in (await client.get(f"/subscriptions/{first.json()['id']}")).text
    kept = await stored(running)
    assert secret not in kept
    assert "example.org/hook" not in kept
    assert len(await running.events()) == 1


@pytest.mark.parametrize(
    ("changes", "status", "kind"),
    [
        ({"address": "nobody"}, 422, "address-refused"),
        ({"address": "http://example.org/"}, 422, "address-refused"),
        ({"channel": "pigeon"}, 422, "unknown-channel"),
        ({"channel": {"$ne": None}}, 422, "invalid-request"),
        ({"event_types": ["nothing.of.this"]}, 422, "invalid-request"),
        ({"event_types": VERDICTS}, 422, "invalid-request"),
        ({"state": "active"}, 422, "invalid-request"),
        ({"secret": "whsec_x"}, 422, "invalid-request"),
        ({"stakeholder_id": "me"}, 422, "invalid-request"),
    ],
)
async def test_a_wrong_request_is_a_problem_and_changes_nothing(running: Component, changes, status, kind):
    async with running.http("engagement-officer") as client:
        answer = await post(client, {**MAIL, **changes})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:rapport:problem:{kind}"
    assert "press@example.org" not in answer.text
    assert await running.events() == []


async def test_what_is_not_there_is_404(running: Component):
    async with running.http("engagement-officer") as client:
        for answer in (await client.get("/subscriptions/nothing"), await client.delete("/subscriptions/nothing")):
            assert answer.status_code == 404
            assert answer.json()["type"] == "urn:rapport:problem:subscription-not-found"


async def test_the_erased_cannot_be_subscribed(running: Component):
    await running.consume(erased(SOMEBODY))
    async with running.http("engagement-officer") as client:
        answer = await post(client, {**MAIL, "stakeholder_id": SOMEBODY})
    assert answer.status_code == 410


async def test_messages_are_listed_page_by_page_without_address_or_words(running: Component):
    async with running.http("engagement-officer") as client:
        made = (await post(client, {**MAIL, "stakeholder_id": SOMEBODY})).json()
    await running.consume(granted(SOMEBODY))
    for number in range(3):
        for _ in range(2):  # each of them delivered twice
            await running.consume(verdict(ordinal=number), id_=f"event-{number}")
    async with running.http("analyst") as client:
        first = (await client.get("/messages", params={"limit": 2, "subscription": made["id"]})).json()
        rest = await client.get("/messages", params={"limit": 2, "subscription": made["id"], "cursor": first["next"]})
        other = await client.get("/messages", params={"limit": 2, "cursor": first["next"]})
        sent = await client.get("/messages", params={"state": "sent"})
        wrong = await client.get("/messages", params={"state": "lost"})
    items = first["items"] + rest.json()["items"]
    assert {item["cause"] for item in items} == {"event-0", "event-1", "event-2"}
    assert len(items) == 3
    assert rest.json()["next"] is None
    assert other.status_code == 400, "a cursor is good for its own list"
    assert sent.json()["items"] == []
    assert wrong.status_code == 422
    assert set(items[0]) == {
        "id", "subscription_id", "channel", "cause", "cause_type", "template", "template_version",
        "synthetic", "state", "attempts", "reason", "queued_at", "settled_at",
    }  # fmt: skip
    assert "PPT-1a" not in await stored(running), "what a message tells is sealed"


async def test_who_may_do_what(running: Component):
    own = {(method, path): set(access.roles) for method, path, access in declared_access(running.app)}
    assert {route: roles for route, roles in own.items() if not route[1].startswith("/operations/")} == ACCESS
    bodies = {"POST": {"json": MAIL, "headers": {"Idempotency-Key": "k"}}}
    for (method, path), allowed in ACCESS.items():
        async with running.http() as nobody:
            refused = await nobody.request(method, path, **bodies.get(method, {}))
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Bearer")
        for role in EVERYONE:
            async with running.http(role) as client:
                answer = await client.request(method, path, **bodies.get(method, {}))
            assert (answer.status_code == 403) == (role not in allowed), (method, path, role)
