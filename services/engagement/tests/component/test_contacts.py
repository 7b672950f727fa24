"""Contacts over HTTP: logged once, read without their notes, found by what they are."""

import pytest


async def test_a_contact_is_logged_and_told(service, officer, contact, key):
    logged = await officer.post("/contacts", json=contact, headers=key())

    assert logged.status_code == 201
    assert logged.headers["ETag"] == '"1"'
    assert "notes" not in logged.json()
    (event,) = await service.events()
    assert (event.aggregate_id(), event.region, event.notes.subject) == (
        logged.json()["id"],
        "wales",
        logged.json()["id"],
    )
    assert "Example notes" not in event.notes.token
    stored = await service.runtime.database["contacts"].find_one({"_id": event.contact_id})
    assert "Example notes" not in str(stored)


async def test_a_repeated_request_logs_one_contact(service, officer, contact, key):
    headers = key()
    first = await officer.post("/contacts", json=contact, headers=headers)
    again = await officer.post("/contacts", json=contact, headers=headers)

    assert first.json() == again.json()
    assert len(await service.events()) == 1


async def test_notes_have_a_route_of_their_own_and_go_with_the_last_participant(service, officer, contact, key, erased):
    id_ = (await officer.post("/contacts", json=contact, headers=key())).json()["id"]
    assert (await officer.get(f"/contacts/{id_}/notes")).json() == {"contact_id": id_, "notes": "Example notes"}

    await service.consume(erased(contact["participants"][0]))
    assert (await officer.get(f"/contacts/{id_}/notes")).json()["notes"] == "Example notes"
    await service.consume(erased(contact["participants"][1]))
    assert (await officer.get(f"/contacts/{id_}/notes")).json()["notes"] == "erased"
    assert (await officer.get(f"/contacts/{id_}")).json()["participants"] == contact["participants"]


async def test_participants_not_known_yet_are_named_and_may_come(service, officer, contact, key):
    refused = await officer.post("/contacts", json={**contact, "participants": ["nobody"]}, headers=key())

    assert (refused.status_code, refused.json()["type"]) == (409, "urn:rapport:problem:unknown-participants")
    assert refused.json()["detail"] == "not known here, or not yet: /participants/0"
    assert await service.events() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"level": "command"},
        {"participants": []},
        {"held_on": "2019-02-30"},
        {"held_on": 20190603},
        {"held_on": "2999-01-01"},
        {"activity_id": "99.9"},
        {"exercise_id": "none"},
        {"participants": [{"$ne": None}]},
        {"stance": "critic"},
        {"synthetic": "true"},
        {"synthetic": True},
    ],
    ids=lambda wrong: str(wrong)[:40],
)
async def test_what_does_not_fit_is_refused_and_changes_nothing(service, officer, contact, key, wrong):
    refused = await officer.post("/contacts", json={**contact, **wrong}, headers=key())

    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert await service.events() == []


async def test_contacts_are_paged_newest_first_and_filtered(officer, contact, key):
    ids = [
        (await officer.post("/contacts", json={**contact, "nature": nature}, headers=key())).json()["id"]
        for nature in ("communication", "engagement", "engagement", "engagement")
    ]

    question = {"nature": "engagement", "limit": 2}
    first = (await officer.get("/contacts", params=question)).json()
    assert [item["id"] for item in first["items"]] == [ids[3], ids[2]]
    rest = (await officer.get("/contacts", params={**question, "cursor": first["next"]})).json()
    assert ([item["id"] for item in rest["items"]], rest["next"]) == ([ids[1]], None)
    other = await officer.get("/contacts", params={"nature": "both", "cursor": first["next"]})
    assert other.status_code == 400
    assert (await officer.get("/contacts", params={"nature": "neither"})).status_code == 422


async def test_reference_data_name_their_source(officer):
    data = (await officer.get("/reference")).json()
    assert "Annex C" in data["source"]
    assert [step["code"] for step in data["levels"]] == ["inform", "consult", "involve", "partnership"]
