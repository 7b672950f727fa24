"""Which objects there are, whose each is, and what names them: the tables from which the matrix is made."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.doors.conftest import Site
from tests.doors.door import UNKNOWN_ID, Door

HOME, AWAY = "wales", "london"
ME = "tester"
"""Subject of every token of the matrix."""

PEOPLE = {
    HOME: "0190d901-9ff2-720a-87ff-8fc99a817e01",
    AWAY: "0190d901-9ff2-720a-87ff-8fc99a817e02",
    None: "0190d901-9ff2-720a-87ff-8fc99a817e03",
}
"""Participants that engagement was told of, by region."""

PATHS: dict[str, str | None] = {
    "/stakeholders/{id}": "stakeholder",
    "/stakeholders/{id}/consents/{purpose}": None,
    "/stakeholders/{id}/consents/{purpose}/{channel}": None,
    "/contacts/{id}": "contact",
    "/exercises/{id}": "exercise",
    "/instruments/{code}": "shared",
    "/instruments/{code}/{version}": "shared",
    "/waves/{id}": "shared",
    "/measures/{id}": "shared",
    "/subscriptions/{id}": "shared",
    "/operations/dead-letters/{letter}": "shared",
}
"""What a path names, by the path up to the name. None: no object; shared: an object that is everybody's who may use the
route. A parameter that is missing here fails the matrix: somebody must say whose it is."""

NAMES = {
    "participants",
    "participant",
    "exercise_id",
    "activity_id",
    "stakeholder_id",
    "stakeholder",
    "subscription",
    "case_id",
    "wave",
}
"""Fields of bodies and queries that name an object."""

PLACES = (HOME, AWAY, None)
KEEPERS: dict[str, dict[str, list[str]]] = {
    "registry": {"stakeholder": ["home", "away", "nowhere"]},
    "engagement": {
        "exercise": ["home", "away", "nowhere"],
        "contact": ["home", "away", "nowhere", "my case", "my case away", "another's case"],
    },
}
"""By service, the kinds of objects that are not everybody's, and whose there may be."""

REGIONS = {"home": HOME, "away": AWAY, "nowhere": None, "my case": HOME, "my case away": AWAY, "another's case": HOME}
_keys = itertools.count()


def new() -> dict[str, str]:
    return {"Idempotency-Key": f"rights-{next(_keys)}"}


def kind_of(door: Door) -> str | None:
    """The kind of object the path names. KeyError for a path nobody has thought of."""
    kinds = []
    path = ""
    for step in door.path.split("/")[1:]:
        path = f"{path}/{step}"
        if step.startswith("{"):
            kinds.append(PATHS[path])
    return next((kind for kind in kinds if kind is not None), None)


def reached(whose: str, region: str | None) -> bool:
    """Whether a token of mine, bound to this region, reaches it: the rule, said once more."""
    return whose != "another's case" and (region is None or REGIONS[whose] == region)


async def make(site: Site, kind: str, whose: str) -> tuple[str, int]:
    """A new object; its id and version."""
    region = REGIONS[whose]
    async with site.http("engagement-officer", subject="somebody" if whose == "another's case" else ME) as http:
        answer = await http.post(f"/{kind}s", json=_body(kind, whose, region), headers=new())
        assert answer.is_success, answer.text
        made = answer.json()
        if kind == "stakeholder":
            consent = {"purpose": "updates", "channel": "email", "proof": "form"}
            answer = await http.post(f"/stakeholders/{made['id']}/consents", json=consent)
            assert answer.is_success, answer.text
            made = answer.json()
        return made["id"], made["version"]


def _body(kind: str, whose: str, region: str | None) -> dict[str, Any]:
    if kind == "stakeholder":
        return {
            "kind": "person",
            "category": "public",
            "synthetic": True,
            "region": region,
            "name": "Markedname Example",
            "email": "marked@example.org",
            "phone": "+44 5555 0100",
        }
    body = {"participants": [PEOPLE[region]], "region": region, "synthetic": True}
    if kind == "exercise":
        due = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
        words = {"title": "Example", "promise": "Example", "decision_maker": "director-wales", "reply_due": due}
        return {**body, **words, "level": "involve", "method": "citizen-jury"}
    case = {"case": {"case_id": "2019/1", "team": []}} if "case" in whose else {}
    how = {"level": "consult", "nature": "engagement", "mode": "proactive", "method": "meeting"}
    return {**body, **how, **case, "held_on": "2019-06-03", "notes": "Marked notes"}


def request_of(door: Door, id_: str | None, version: int) -> dict[str, Any]:
    """A request that fits, about this object."""
    headers = {**new(), "If-Match": f'"{version}"'}
    request: dict[str, Any] = {
        "method": door.method,
        "url": door.url(**({"id": id_} if id_ else {})),
        "params": door.query(),
        "headers": headers,
    }
    if door.takes_json:
        request["json"] = door.body()
    return request


NOWHERE = (UNKNOWN_ID.replace("a817e65", "a817eff"), 1)
"""The id and version of what does not exist."""
