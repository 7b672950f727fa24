"""What each service is told before anybody knocks: so that its doors lead somewhere, and bad input meets real state.

Only values for which a made-up one is refused by the domain. A route that is not mentioned is tested all the same, with
values from its description.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
from rapport_chassis.testing import Component
from rapport_events.event import Sealed
from rapport_events.registry import StakeholderRegistered

Known = Mapping[str, Any]

SOMEBODY = "0190d901-9ff2-720a-87ff-8fc99a817e66"
ROLES = ("engagement-officer", "researcher", "collector", "analyst", "operator", "auditor", "director")
PERSON = {"kind": "person", "category": "public", "synthetic": True}
INSTRUMENT = {
    "code": "tracker",
    "version": 1,
    "questions": [
        {
            "code": "heard",
            "version": 1,
            "text": "Have you heard of Example Organisation?",
            "answers": [{"code": "yes", "label": "Yes"}, {"code": "no", "label": "No"}],
            "counts": ["yes"],
            "left_out": ["no"],
            "breaks_series": False,
        }
    ],
    "synthetic": True,
}


async def registry(_: Component, http: httpx.AsyncClient) -> Known:
    made = await _post(http, "/stakeholders", {**PERSON, "name": "Example Person"})
    body = {
        **PERSON,
        "subtype": None,
        "region": "wales",
        "confidence_groups": ["bame"],
        "reference": None,
        "name": "Example Other",
        "email": "other@example.org",
    }
    amendment = {key: body[key] for key in body if key not in {"synthetic", "reference"}}
    return {
        **_ids("/stakeholders/{id}", made["id"], "", "/consents", "/consents/{purpose}/{channel}"),
        "POST /stakeholders": body,
        "PATCH /stakeholders/{id}": amendment,
    }


async def engagement(component: Component, http: httpx.AsyncClient) -> Known:
    await component.consume(
        StakeholderRegistered(
            stakeholder_id=SOMEBODY,
            kind="organisation",
            category="non-statutory",
            region="wales",
            taxonomy_version=1,
            name=Sealed(subject=SOMEBODY, token="sealed-elsewhere"),
            synthetic=True,
            registered_on=date(2019, 5, 1),
        )
    )
    who = {"participants": [SOMEBODY], "synthetic": True, "region": "wales"}
    contact = {
        **who,
        "level": "consult",
        "nature": "engagement",
        "mode": "proactive",
        "method": "meeting",
        "held_on": "2019-06-03",
        "exercise_id": None,
        "activity_id": None,
    }
    exercise = {
        **who,
        "title": "Example exercise",
        "level": "involve",
        "method": "citizen-jury",
        "promise": "The wording can change, the law cannot.",
        "decision_maker": "director-wales",
        "reply_due": (datetime.now(UTC) + timedelta(days=30)).date().isoformat(),
        "opened_on": None,
    }
    (await http.put("/plan", json={})).raise_for_status()
    logged = await _post(http, "/contacts", {**contact, "notes": "Example notes"})
    opened = await _post(http, "/exercises", exercise)
    return {
        **_ids("/contacts/{id}", logged["id"], "", "/notes"),
        **_ids("/exercises/{id}", opened["id"], "", "/reply", "/receipts"),
        "POST /contacts": contact,
        "POST /exercises": exercise,
    }


async def feedback(_: Component, http: httpx.AsyncClient) -> Known:
    await _post(http, "/instruments", {**INSTRUMENT, "weighted": False, "regions": ["north"], "groups": ["bame"]})
    wave = {
        "instrument_code": "tracker",
        "instrument_version": 1,
        "ordinal": 1,
        "year": 1,
        "starts_on": "2019-01-01",
        "ends_on": "2099-03-31",
        "populations": {"all": 5_000},
        "exercise_id": None,
        "synthetic": True,
    }
    opened = await _post(http, "/waves", wave)
    return {
        **_ids("/waves/{id}", opened["id"], "", "/close", "/responses", "/responses/import", "/responses/count"),
        "/instruments/{code}/{version} code": "tracker",
        "POST /instruments": {**INSTRUMENT, "code": "other"},
        "POST /waves": {**wave, "ordinal": 2},
        "POST /waves/{id}/responses": {
            "answers": {"heard": "yes"},
            "region": "north",
            "groups": ["bame"],
            "weight": None,
            "day": None,
            "stakeholder_id": None,
        },
    }


async def measures(_: Component, http: httpx.AsyncClient) -> Known:
    (await http.post("/definitions/load")).raise_for_status()
    found = (await http.get("/measures")).raise_for_status().json()["items"][0]["id"]
    return {**_ids("/measures/{id}", found, "", "/history", "/explain")}


async def notifications(_: Component, http: httpx.AsyncClient) -> Known:
    wish = {
        "event_types": ["engagement.contact.logged"],
        "channel": "email",
        "address": "somebody@example.org",
        "stakeholder_id": SOMEBODY,
    }
    made = await _post(http, "/subscriptions", wish)
    return {**_ids("/subscriptions/{id}", made["id"], ""), "POST /subscriptions": wish}


TELL: dict[str, Callable[[Component, httpx.AsyncClient], Awaitable[Known]]] = {
    "registry": registry,
    "engagement": engagement,
    "feedback": feedback,
    "measures": measures,
    "notifications": notifications,
}


def _ids(path: str, id_: str, *behind: str) -> dict[str, str]:
    return {f"{path}{rest} id": id_ for rest in behind}


async def _post(http: httpx.AsyncClient, path: str, body: Any) -> dict[str, Any]:
    answer = await http.post(path, json=body, headers={"Idempotency-Key": f"known{path.replace('/', '-')}"})
    assert answer.is_success, f"{path}: {answer.text}"
    made: dict[str, Any] = answer.json()
    return made
