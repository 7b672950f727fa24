"""From HTTP to MongoDB and back."""

import pytest
from rapport_chassis.http.routes import declared_access
from rapport_events.measures import MeasureDefined, VerdictChanged


async def test_definitions_are_loaded_once(service, analyst, loaded):
    assert len(loaded["items"]) == len(loaded["changed"]) == 32
    again = (await analyst.post("/definitions/load", json={})).json()
    assert again["changed"] == []
    events = await service.events()
    assert len(events) == 32
    assert all(isinstance(event, MeasureDefined) for event in events)


async def test_before_loading_it_says_what_to_do(analyst):
    answer = await analyst.get("/measures")
    assert answer.status_code == 404
    assert "load the definitions" in answer.json()["detail"]
    assert (await analyst.get("/settings")).status_code == 404


@pytest.mark.usefixtures("loaded")
async def test_responses_become_a_figure_with_its_verdict(service, analyst, tell, opened, closed, share):
    await tell(opened, *share(450, 1_000, region="wales"))
    listed = (await analyst.get("/measures")).json()
    assert listed["synthetic"]
    assert [item["id"] for item in listed["items"]][:2] == ["COR-1", "COR-2a"]
    shown = (await analyst.get("/measures/PPT-1a")).json()
    assert shown == next(item for item in listed["items"] if item["id"] == "PPT-1a")
    assert (shown["baseline"], shown["targets"], shown["rule"]) == (0.37, [0.39, 0.41, 0.43], "p2")
    figure = shown["figure"]
    assert (figure["verdict"], figure["share"], figure["base"], figure["provisional"]) == ("met", 0.45, 1_000, True)
    assert figure["interval"]["low"] < 0.45 < figure["interval"]["high"]
    assert figure["threshold"] == 0.39
    assert shown["freshness"]["responses"] == 1_000
    assert shown["freshness"]["parked"] == 0
    await tell(closed)
    assert not (await analyst.get("/measures/PPT-1a")).json()["figure"]["provisional"]
    changes = [event for event in await service.events() if isinstance(event, VerdictChanged)]
    assert [(e.verdict, e.provisional) for e in changes if e.measure_id == "PPT-1a"] == [("met", True), ("met", False)]


@pytest.mark.usefixtures("loaded")
async def test_a_figure_is_explained_from_its_events(analyst, tell, opened, share):
    await tell(opened)
    await tell(*share(200, 600, weight=12_345))
    await tell(*share(100, 600, region="wales"))
    explained = (await analyst.get("/measures/PPT-1a/explain", params={"wave": "wave-1", "limit": 150})).json()
    assert explained["agrees"]
    assert explained["recounts"]["figure"]["held"] == explained["recounts"]["figure"]["recounted"]
    assert explained["recounts"]["figure"]["held"]["n"] == 1_200
    assert explained["recounts"]["figure"]["departures"] == []
    assert (len(explained["events"]), explained["next"]) == (150, 150)
    region = (await analyst.get("/measures/REG-1/explain", params={"region": "wales"})).json()
    assert region["agrees"]
    assert region["recounts"]["everyone"]["recounted"]["n"] == 1_200


@pytest.mark.usefixtures("loaded")
async def test_a_suppressed_figure_shows_its_base_only(analyst, tell, opened, share):
    await tell(opened, *share(10, 20))
    figure = (await analyst.get("/measures/PPT-1a")).json()["figure"]
    assert (figure["verdict"], figure["base"], figure["share"], figure["interval"]) == ("suppressed", 20, None, None)
    explained = (await analyst.get("/measures/PPT-1a/explain")).json()
    assert (explained["withheld"], explained["recounts"], explained["events"]) == (True, {}, [])


@pytest.mark.usefixtures("loaded")
async def test_settings_are_changed_by_whoever_has_read_them(analyst, tell, opened, closed, share):
    await tell(opened, *share(400, 1_000), closed)
    before = (await analyst.get("/measures/PPT-1a")).json()["figure"]
    assert before["verdict"] == "cannot_tell"
    read = await analyst.get("/settings")
    change = {"changes": {"annual_increase": "0.001"}}
    assert (await analyst.patch("/settings", json=change)).status_code == 428
    changed = await analyst.patch("/settings", json=change, headers={"If-Match": read.headers["ETag"]})
    assert changed.status_code == 200
    assert changed.json()["settings_version"] == 2
    assert changed.json()["versions"][1]["changed"] == ["annual_increase"]
    assert (
        await analyst.patch("/settings", json=change, headers={"If-Match": read.headers["ETag"]})
    ).status_code == 412
    after = (await analyst.get("/measures/PPT-1a/history")).json()[-1]
    assert (after["verdict"], after["settings_version"]) == ("met", 2)
    assert [(each["verdict"], each["settings_version"]) for each in after["superseded"]] == [("cannot_tell", 1)]


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    "change", [{"changes": {"trend_waves": 1}}, {"changes": {"mood": 1}}, {"changes": {}}, {"trend_waves": 4}]
)
async def test_settings_that_are_nonsense_are_refused(analyst, change):
    tag = (await analyst.get("/settings")).headers["ETag"]
    answer = await analyst.patch("/settings", json=change, headers={"If-Match": tag})
    assert answer.status_code == 422
    assert answer.headers["Content-Type"].startswith("application/problem+json")


@pytest.mark.usefixtures("loaded")
async def test_what_is_not_there(analyst):
    for path in ("/measures/NOT-1", "/measures/NOT-1/history", "/measures/PPT-1a/explain"):
        assert (await analyst.get(path)).status_code == 404
    assert (await analyst.get("/populations")).json() == []
    assert (await analyst.get("/lacking")).json() == []


@pytest.mark.usefixtures("loaded")
async def test_what_each_measure_lacks_has_a_name_and_a_cause(service):
    about = {"wave_id": "wave-1", "instrument_code": "public-perceptions-tracker", "answers": ["ppt.heard"]}
    young = {**about, "groups": ["young-18-24"]}
    responses = {"topic": "feedback.response", "state": "unsent"}
    coming = [
        {**responses, "about": {**about, "groups": []}, "events": 9},
        {**responses, "about": young, "events": 4},
        {**responses, "state": "unheard", "about": young, "events": 1_200},
        {**responses, "about": None, "events": 3},
        {"topic": "registry.stakeholder", "state": "unheard", "about": {}, "events": 2},
    ]
    async with service.http("operator") as operator:
        found = (await operator.post("/lacking", json=coming)).json()
        unreadable = await operator.post("/lacking", json=[{**coming[0], "about": {"answers": 7}}])
    words = {each["measure"]: each["words"] for each in found}
    unsent, unheard = "not sent yet by feedback", "sent by feedback, not applied yet"
    assert words["PPT-1a"] == f"PPT-1a lacks 1,213 responses: 1,200 {unheard}, 13 {unsent}"
    assert words["PPT-1c"] == f"PPT-1c lacks 1,204 responses: 1,200 {unheard}, 4 {unsent}", (
        "who is not young is not in it"
    )
    assert "PPT-1b" not in words
    assert words[None] == f"nobody knows which figure lacks 3 responses: 3 {unsent}"
    assert words["SS-1a"] == "SS-1a lacks 2 news: 2 sent by registry, not applied yet"
    shown = next(each for each in found if each["measure"] == "PPT-1a")
    assert (shown["wave_id"], shown["events"]) == ("wave-1", 1_213)
    assert shown["because"][1] == {"letter": None, "reason": unsent, "events": 13}
    assert unreadable.status_code == 422


async def test_who_may_do_what(service):
    own = {
        (method, path): access.roles
        for method, path, access in declared_access(service.app)
        if not path.startswith("/operations")
    }
    readers = {"analyst", "researcher", "director", "auditor"}
    assert own.pop(("POST", "/definitions/load")) == {"analyst", "researcher"}
    assert own.pop(("PATCH", "/settings")) == {"analyst", "researcher"}
    assert own.pop(("POST", "/lacking")) == {"operator"}
    assert own.pop(("GET", "/lacking")) == {"operator", "analyst", "director", "auditor"}
    assert set(own) == {
        ("GET", "/measures"),
        ("GET", "/measures/stream"),
        ("GET", "/measures/{id}"),
        ("GET", "/measures/{id}/history"),
        ("GET", "/measures/{id}/explain"),
        ("GET", "/populations"),
        ("GET", "/settings"),
    }
    assert all(roles == readers for roles in own.values())
    async with service.http("collector") as client:
        assert (await client.get("/measures")).status_code == 403
    async with service.http() as client:
        assert (await client.get("/measures")).status_code == 401
        assert (await client.get("/measures/stream")).status_code == 401
