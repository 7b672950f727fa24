"""Every route, every role, bound to a region or not, and nobody; on one's own object, another's, and none."""

import json

import pytest
from rapport_cli.documents.house import House, app_of
from rapport_cli.running.state import SERVICES

from tests.doors.conftest import Site
from tests.doors.door import Door, doors
from tests.doors.known import ROLES
from tests.rights.conftest import Reads
from tests.rights.objects import HOME, KEEPERS, ME, NAMES, NOWHERE, PATHS, kind_of, make, reached, request_of

CALLERS = [(role, region) for role in ROLES for region in (None, HOME)]


def every_door() -> list[Door]:
    return [door for s in House.load().services for door in doors(s.name, app_of(s).openapi(), {})]


@pytest.mark.catalogue("Z1", "Z2")
def test_somebody_said_whose_everything_is() -> None:
    """A name in a path, body or query that is in no table has not been thought of."""
    for door in every_door():
        kind_of(door)
        named = {place.text.rpartition("/")[2] for place in door.places()} if door.takes_json else set()
        named |= {parameter.name for parameter in door.parameters("query")}
        ids = {name for name in named if name.endswith(("_id", "_ids")) or name in {"participants", "participant"}}
        assert ids <= NAMES, f"{door}: {ids - NAMES}"
    paths = {door.path for door in every_door()}
    assert all(any(path.startswith(known) for path in paths) for known in PATHS), "a table names what is not there"


def let_in(door: Door, role: str, region: str | None) -> bool:
    return role in door.roles and (region is None or door.operation["x-access"]["regional"])


@pytest.mark.catalogue("Z1", "Z5", "Z6")
@pytest.mark.parametrize("name", SERVICES)
async def test_each_role_is_let_in_or_kept_out_of_each_route(sites: dict[str, Site], name: str) -> None:
    """As declared, whatever it is bound to: what comes behind the door is another cell's."""
    site = sites[name]
    before = await site.state()
    for door in site.doors:
        request = request_of(door, None, 1)
        async with site.http() as nobody:
            assert (await nobody.request(**request)).status_code == 401, door
        for role, region in CALLERS:
            if let_in(door, role, region):
                continue
            async with site.component.http(role, region=region) as http:
                assert (await http.request(**request)).status_code == 403, f"{door}: {role} of {region}"
    assert await site.state() == before


@pytest.mark.catalogue("Z1")
@pytest.mark.parametrize("name", SERVICES)
async def test_who_is_let_in_is_not_turned_away_behind_the_door(sites: dict[str, Site], name: str) -> None:
    site = sites[name]
    for door in (door for door in site.doors if not door.answers_for_ever and not door.streaming):
        if kind_of(door) in KEEPERS.get(name, {}):
            continue  # the next test's
        for role in door.roles:
            async with site.component.http(role) as http:
                answer = await http.request(**request_of(door, None, 1))
            assert answer.status_code not in {401, 403, 500}, f"{door}: {role}: {answer.text}"


@pytest.mark.catalogue("Z1", "Z2", "Z3")
async def test_an_object_out_of_reach_is_as_one_that_does_not_exist(keeper: Site, reads: Reads) -> None:
    """The same status, the same body, and as many reads for it: the id of another's tells nothing."""
    kinds = KEEPERS[keeper.doors[0].service]
    for door in keeper.doors:
        kind = kind_of(door)
        if kind not in kinds:
            continue
        standing = {whose: await make(keeper, kind, whose) for whose in kinds[kind]}
        for role, region in ((r, g) for r, g in CALLERS if let_in(door, r, g)):
            async with keeper.component.http(role, subject=ME, region=region) as http:
                reads.counts.clear()
                missing = await http.request(**request_of(door, *NOWHERE))
                work = dict(reads.counts)
                assert missing.status_code == 404, f"{door}: {missing.text}"
                for whose in kinds[kind]:
                    fresh = door.writes and reached(whose, region)
                    id_, version = await make(keeper, kind, whose) if fresh else standing[whose]
                    reads.counts.clear()
                    answer = await http.request(**request_of(door, id_, version))
                    cell = f"{door}: {role} of {region}: {whose}: {answer.status_code} {answer.text}"
                    if reached(whose, region):
                        assert answer.is_success, cell
                    else:
                        assert (answer.status_code, answer.json()) == (404, missing.json()), cell
                        assert dict(reads.counts) == work, cell
                        for stale in (1, 99):
                            again = await http.request(**request_of(door, id_, stale))
                            assert again.json() == missing.json(), f"{cell}: a version tells"


@pytest.mark.catalogue("Z2", "Z7")
async def test_lists_pages_and_cursors_hold_what_is_reached(keeper: Site) -> None:
    kinds = KEEPERS[keeper.doors[0].service]
    for kind, owners in kinds.items():
        made = {whose: (await make(keeper, kind, whose))[0] for whose in owners}
        async with keeper.component.http("engagement-officer", subject=ME) as http:
            foreign = [await first(http, f"/{kind}s", limit) for limit in (1, 2, 3)]
        for region in (None, HOME):
            wanted = {id_ for whose, id_ in made.items() if reached(whose, region)}
            async with keeper.component.http("engagement-officer", subject=ME, region=region) as http:
                found = await walk(http, f"/{kind}s", None)
                assert {id_ for id_ in made.values() if id_ in found} == wanted, f"{kind} of {region}"
                for cursor in foreign:
                    behind = await walk(http, f"/{kind}s", cursor)
                    assert {id_ for id_ in made.values() if id_ in behind} <= wanted
                if region is not None:
                    away = (await http.get(f"/{kind}s", params={"region": "london"})).json()
                    assert away == {"items": [], "next": None}


async def first(http, path: str, limit: int) -> str | None:
    return (await http.get(path, params={"limit": limit})).json()["next"]


async def walk(http, path: str, cursor: str | None) -> str:
    """All pages behind a cursor, as text."""
    said = []
    while True:
        page = (await http.get(path, params={"limit": 50, **({"cursor": cursor} if cursor else {})})).json()
        said.append(json.dumps(page["items"]))
        cursor = page["next"]
        if cursor is None:
            return "".join(said)


@pytest.mark.catalogue("Z4")
async def test_no_one_but_officers_sees_who_a_stakeholder_is(sites: dict[str, Site]) -> None:
    site = sites["registry"]
    id_, version = await make(site, "stakeholder", "home")
    for door in (door for door in site.doors if door.method == "GET"):
        for role in set(door.roles) - {"engagement-officer"}:
            async with site.component.http(role) as http:
                request = request_of(door, id_ if kind_of(door) else None, version)
                said = (await http.request(**request)).text.lower()
                assert not any(word in said for word in ("markedname", "marked@", "5555 0100")), f"{door}: {role}"
                named = await http.get("/stakeholders", params={"name": "markedname"})
                assert named.status_code == 403
