"""The delivery plan over HTTP."""


async def test_annex_a_is_loaded_once(service, officer):
    assert (await officer.get("/plan")).status_code == 404

    first = await officer.put("/plan", json={})
    again = await officer.put("/plan", json={})

    assert (first.status_code, again.status_code) == (200, 200)
    assert first.headers["ETag"] == again.headers["ETag"] == '"1"'
    assert again.json()["number"] == 1
    assert len(await service.events()) == 27
    plan = (await officer.get("/plan")).json()
    assert [activity["id"] for activity in plan["activities"]][:3] == ["1.1", "1.2", "1.3"]
    assert len(plan["activities"]) == 27


async def test_a_refreshed_line_makes_a_new_version(service, officer):
    line = {"line": "1", "item": "Example item", "activity": "Example activity", "leads": ["SE team"], "years": [1]}
    await officer.put("/plan", json={"source": "Example plan", "lines": [line]})
    changed = await officer.put("/plan", json={"source": "Its refresh", "lines": [{**line, "years": [1, 2]}]})

    assert [version["source"] for version in changed.json()["versions"]] == ["Example plan", "Its refresh"]
    assert [(event.plan_version, event.years) for event in await service.events()] == [(1, (1,)), (2, (1, 2))]
    missing = await officer.put("/plan", json={"lines": [{**line, "line": "2"}]})
    assert (missing.status_code, missing.json()["type"]) == (409, "urn:rapport:problem:plan-incomplete")


async def test_evidence_is_counted_from_contacts(officer, contact, key):
    await officer.put("/plan", json={})
    logged = await officer.post("/contacts", json={**contact, "activity_id": "4.1"}, headers=key())
    assert logged.status_code == 201

    plan = (await officer.get("/plan")).json()
    assert {a["id"]: a["evidence"] for a in plan["activities"] if a["evidence"]} == {"4.1": 1}
