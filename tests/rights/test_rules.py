"""What the matrix cannot say of a right: where else an object is named, what is written, and what time and others change."""

import re

import pytest
from fastapi import Request
from rapport_chassis.access import Principal
from rapport_chassis.http import Routes
from rapport_chassis.http.routes import UndeclaredAccess
from rapport_chassis.http.run import Runner
from rapport_chassis.service import Service
from rapport_chassis.settings import ServiceSettings
from rapport_cli.documents.house import House
from registry.domain.stakeholder import StakeholderNotFound
from registry.usecases.grant_consent import Agreement, GrantConsent, grant_consent

from tests.catalogue import ROWS
from tests.doors.conftest import Site
from tests.doors.known import ROLES
from tests.rights.objects import AWAY, HOME, NOWHERE, PEOPLE, kind_of, make, new, request_of

OFFICER = "engagement-officer"
PERSON = {"kind": "person", "category": "public", "synthetic": True, "name": "Example Person"}


def test_there_is_one_version_of_the_api() -> None:
    """The day there is another, Z12 waits no longer."""
    assert ROWS["Z12"].waits
    for service in House.load().services:
        paths = [route.path for routes in service.routes for route in routes.router.routes]
        assert not [path for path in paths if re.match(r"/v[0-9]+/", path)]


@pytest.mark.catalogue("Z1")
def test_a_service_with_a_route_that_nobody_declared_does_not_start(sites: dict[str, Site]) -> None:
    known = sites["registry"].component.service
    forgetful = Routes()
    forgetful.router.get("/forgotten")(lambda: None)
    service = Service(name=known.name, unit=known.unit, settings=ServiceSettings, routes=(*known.routes, forgetful))
    with pytest.raises(UndeclaredAccess, match="/forgotten"):
        service.app(ServiceSettings(service=known.name))


@pytest.mark.catalogue("Z2", "Z3")
async def test_an_id_in_a_body_tells_no_more_than_one_in_a_path(sites: dict[str, Site]) -> None:
    site = sites["engagement"]
    contact = {"level": "consult", "nature": "engagement", "mode": "proactive", "method": "meeting"}
    contact |= {"held_on": "2019-06-03", "synthetic": True, "region": HOME}
    exercise = (await make(site, "exercise", "away"))[0]
    async with site.component.http(OFFICER, region=HOME) as http:
        for field, away, missing in (
            ("participants", [PEOPLE[HOME], PEOPLE[AWAY]], [PEOPLE[HOME], NOWHERE[0]]),
            ("exercise_id", exercise, NOWHERE[0]),
        ):
            said = []
            for named in (away, missing):
                body = {"participants": [PEOPLE[HOME]], **contact, field: named}
                answer = await http.post("/contacts", json=body, headers=new())
                assert not answer.is_success
                said.append(answer.json())
            assert said[0] == said[1], field


@pytest.mark.catalogue("Z2", "Z7")
async def test_nothing_is_written_out_of_reach(sites: dict[str, Site]) -> None:
    site = sites["registry"]
    id_, version = await make(site, "stakeholder", "home")
    before = await site.state()
    async with site.component.http(OFFICER, region=HOME) as http:
        for region in (AWAY, None):
            body = {**PERSON, "region": region}
            made = await http.post("/stakeholders", json=body, headers=new())
            path, match = f"/stakeholders/{id_}", {"If-Match": f'"{version}"'}
            moved = await http.patch(path, json={"region": region}, headers=match)
            for answer in (made, moved):
                assert (answer.status_code, answer.json()["type"]) == (403, "urn:rapport:problem:out-of-reach")
    assert await site.state() == before


@pytest.mark.catalogue("Z2")
async def test_rows_out_of_reach_are_refused_one_by_one(sites: dict[str, Site]) -> None:
    file = b"kind,name,category,region\nperson,A B,public,london\nperson,C D,public,wales\nperson,E F,public,\n"
    async with sites["registry"].component.http(OFFICER, region=HOME) as http:
        for dry_run in ("true", "false"):
            answer = await http.post(
                "/stakeholders/import", content=file, params={"dry_run": dry_run}, headers={"Content-Type": "text/csv"}
            )
            assert [line.count('"refused"') for line in answer.text.splitlines()] == [1, 0, 1], answer.text


@pytest.mark.catalogue("Z4")
async def test_an_event_tells_of_a_case_that_there_was_a_contact_and_no_more(sites: dict[str, Site]) -> None:
    site = sites["engagement"]
    id_, _ = await make(site, "contact", "my case")
    (told,) = [event for event in await site.component.events() if getattr(event, "contact_id", None) == id_]
    assert (told.stakeholder_ids, told.notes, told.exercise_id) == ((), None, None)
    assert "2019/1" not in told.model_dump_json()


@pytest.mark.catalogue("Z2")
async def test_an_answer_of_one_region_is_not_given_again_in_another(sites: dict[str, Site]) -> None:
    site, headers, body = sites["registry"], new(), {**PERSON, "region": HOME}
    async with site.component.http(OFFICER, region=HOME) as http:
        assert (await http.post("/stakeholders", json=body, headers=headers)).status_code == 201
    async with site.component.http(OFFICER, region=AWAY) as http:
        assert (await http.post("/stakeholders", json=body, headers=headers)).status_code == 422
    async with site.component.http(OFFICER, region=AWAY, subject="another") as http:
        assert (await http.post("/stakeholders", json=body, headers=headers)).status_code == 403


@pytest.mark.catalogue("Z7")
async def test_a_region_nobody_understands_is_no_region_at_all(sites: dict[str, Site]) -> None:
    for region in (["wales"], 7, {"in": ["wales"]}, True):
        async with sites["registry"].component.http(OFFICER, region=region) as http:
            assert (await http.get("/stakeholders")).status_code == 401


@pytest.mark.catalogue("Z14")
async def test_what_was_erased_is_gone_at_every_route(sites: dict[str, Site]) -> None:
    site = sites["registry"]
    id_, version = await make(site, "stakeholder", "home")
    async with site.component.http(*ROLES) as http:
        assert (await http.delete(f"/stakeholders/{id_}")).status_code == 200
        for door in (d for d in site.doors if kind_of(d) == "stakeholder"):
            answer = await http.request(**request_of(door, id_, version + 1))
            again = door.method == "DELETE" and door.path == "/stakeholders/{id}"  # a wish repeated is the same wish
            assert answer.status_code in ({200} if again else {404, 410}), f"{door}: {answer.text}"
            assert "markedname" not in answer.text.lower()


@pytest.mark.catalogue("Z11")
async def test_only_the_api_is_public_with_its_description_off(sites: dict[str, Site]) -> None:
    for site in sites.values():
        service = site.component.service
        app = service.app(service.settings(service=service.name, http_documentation=False))
        assert (app.docs_url, app.redoc_url, app.openapi_url) == (None, None, None)
        async with site.component.http(*ROLES) as http:
            for path in ("/metrics", "/livez", "/readyz", "/status", "/debug", "/redoc"):
                assert (await http.get(path)).status_code == 404, path


@pytest.mark.catalogue("Z15", "Z16", "Z17")
async def test_answers_are_for_nobody_else(sites: dict[str, Site]) -> None:
    """Kept by no cache, open to no other origin, and an error says nothing of a token."""
    for site in sites.values():
        for door in (d for d in site.doors if not d.answers_for_ever and not d.streaming):
            for roles in ((), ("operator",), tuple(door.roles)):
                async with site.component.http(*roles) as http:
                    for origin in ("https://evil.example", "null"):
                        request = request_of(door, None, 1)
                        request["headers"] = {**request["headers"], "Origin": origin}
                        answer = await http.request(**request)
                        assert answer.headers["cache-control"] == "no-store", door
                        assert not [name for name in answer.headers if name.startswith("access-control-")], door
                        token = http.headers.get("authorization", "Bearer x").partition(" ")[2]
                        assert len(token) < 9 or token not in answer.text
                    wish = {"Origin": "null", "Access-Control-Request-Method": door.method}
                    asked = await http.options(door.url(), headers=wish)
                    assert asked.status_code == 405
                    assert not [name for name in asked.headers if name.startswith("access-control-")], door


@pytest.mark.catalogue("Z20")
async def test_what_leaves_the_region_before_the_commit_is_not_written(sites: dict[str, Site]) -> None:
    """The commit loses, and the use case, run again, finds nothing."""
    site = sites["registry"]
    id_, version = await make(site, "stakeholder", "home")

    async def overtaken(command: GrantConsent, unit):
        result = await grant_consent(command, unit)
        async with site.component.http(OFFICER, subject="mover") as http:
            match = {"If-Match": f'"{version}"'}
            assert (await http.patch(f"/stakeholders/{id_}", json={"region": AWAY}, headers=match)).is_success
        return result

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "app": site.component.app}
    officer = Principal("tester", frozenset({OFFICER}), region=HOME)
    runner = Runner(site.component.runtime, Request(scope), officer)
    agreement = Agreement(purpose="research", channel="phone", proof="form")
    with pytest.raises(StakeholderNotFound):
        await runner.run(overtaken, GrantConsent(stakeholder_id=id_, agreement=agreement))
    kept = await site.component.runtime.database["stakeholders"].find_one({"_id": id_})
    assert [consent["channel"] for consent in kept["consents"]] == ["email"]
