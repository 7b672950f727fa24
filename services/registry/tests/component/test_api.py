"""From HTTP to what is told."""

import asyncio
import json

import pytest
from rapport_events.registry import (
    ConsentGranted,
    ConsentWithdrawn,
    StakeholderAmended,
    StakeholderErased,
    StakeholderRegistered,
)
from registry import imports

BODY = {
    "kind": "organisation",
    "name": "Example Organisation",
    "email": "office@example.org",
    "category": "statutory",
    "subtype": "police-accountability",
    "region": "wales",
    "confidence_groups": ["bame"],
    "synthetic": True,
}
NOBODY = "01900000-0000-7000-8000-000000000000"


async def register(officer, key="a", **facts):
    answer = await officer.post("/stakeholders", json={**BODY, **facts}, headers={"Idempotency-Key": key})
    assert answer.status_code == 201, answer.text
    return answer


def is_problem(answer, status, slug=None):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    if slug is not None:
        assert answer.json()["type"] == f"urn:rapport:problem:{slug}"
    return True


async def test_the_life_of_a_stakeholder(registry, officer):
    registered = await register(officer)
    id_ = registered.json()["id"]
    path = f"/stakeholders/{id_}"
    assert registered.headers["ETag"] == '"1"'
    assert registered.json()["segment"] == "police-accountability"
    assert not {"name", "email", "phone", "reference"} & registered.json().keys()

    read = await officer.get(path)
    assert read.headers["ETag"] == '"1"'
    assert (read.json()["name"], read.json()["email"], read.json()["internal"]) == (BODY["name"], BODY["email"], False)

    amended = await officer.patch(path, json={"region": "london", "email": None}, headers={"If-Match": '"1"'})
    assert (amended.status_code, amended.json()["region"], amended.headers["ETag"]) == (200, "london", '"2"')

    agreement = {"purpose": "updates", "channel": "email", "proof": "form", "granted_at": "2019-06-01T10:00:00Z"}
    granted = await officer.post(f"{path}/consents", json=agreement)
    assert (granted.status_code, granted.json()["consents"][0]["withdrawn_at"]) == (200, None)
    withdrawn = await officer.delete(f"{path}/consents/updates/email", params={"proof": "verbal"})
    assert (withdrawn.status_code, withdrawn.json()["consents"][0]["withdrawal_proof"]) == (200, "verbal")

    for _ in range(2):
        erased = await officer.delete(path)
        assert (erased.status_code, erased.json()["category"], erased.headers["ETag"]) == (200, None, '"5"')
    assert is_problem(await officer.get(path), 410, "stakeholder-gone")
    left = erased.json()
    assert (left["kind"], left["consents"]) == ("organisation", [])

    events = await registry.events()
    assert [type(event) for event in events] == [
        StakeholderRegistered,
        StakeholderAmended,
        ConsentGranted,
        ConsentWithdrawn,
        StakeholderErased,
    ]
    assert {event.aggregate_id() for event in events} == {id_}
    assert events[1].changed == ("email", "region")
    assert all(event.synthetic for event in events[:2])


async def test_nothing_personal_is_kept_or_told_in_clear(registry, officer):
    await register(officer, reference="EX-1", phone="+44 20 7946 0000")
    for name in await registry.runtime.database.list_collection_names():
        kept = str(await registry.runtime.database[name].find().to_list())
        for personal in ("Example", "example", "office@", "7946", "EX-1"):
            assert personal not in kept, name


async def test_the_same_request_again_is_the_same_answer(registry, officer):
    first = await register(officer, key="once")
    again = await register(officer, key="once")
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(await registry.events()) == 1
    other = await officer.post("/stakeholders", json={**BODY, "name": "Other"}, headers={"Idempotency-Key": "once"})
    assert is_problem(other, 422, "idempotency-reused")
    assert is_problem(await officer.post("/stakeholders", json=BODY), 400)


@pytest.mark.parametrize(
    ("facts", "status", "slug"),
    [
        ({"category": "friends"}, 422, "unknown-code"),
        ({"region": "atlantis"}, 422, "unknown-code"),
        ({"category": "public"}, 422, "subtype-of-another-category"),
        ({"kind": "ghost"}, 422, "invalid-request"),
        ({"name": None}, 422, "invalid-request"),
        ({"stance": "critic"}, 422, "invalid-request"),
        ({"synthetic": "yes"}, 422, "invalid-request"),
    ],
)
async def test_what_is_wrong_is_a_problem(registry, officer, facts, status, slug):
    answer = await officer.post("/stakeholders", json={**BODY, **facts}, headers={"Idempotency-Key": "a"})
    assert is_problem(answer, status, slug)
    assert "Example" not in answer.text
    assert await registry.events() == []


async def test_a_reference_is_taken_once(officer):
    await register(officer, reference="EX-1")
    answer = await officer.post("/stakeholders", json={**BODY, "reference": "EX-1"}, headers={"Idempotency-Key": "b"})
    assert is_problem(answer, 409, "reference-taken")


async def test_of_two_at_the_same_moment_one_takes_the_reference(registry, officer):
    both = [
        officer.post("/stakeholders", json={**BODY, "reference": "EX-1"}, headers={"Idempotency-Key": key})
        for key in ("a", "b")
    ]
    answers = await asyncio.gather(*both)
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert len(await registry.events()) == 1


async def test_consents_given_at_the_same_moment_are_both_kept(registry, officer):
    path = f"/stakeholders/{(await register(officer)).json()['id']}"
    both = [
        officer.post(f"{path}/consents", json={"purpose": "updates", "channel": channel, "proof": "form"})
        for channel in ("email", "phone")
    ]
    assert {answer.status_code for answer in await asyncio.gather(*both)} == {200}
    assert {c["channel"] for c in (await officer.get(path)).json()["consents"]} == {"email", "phone"}


async def test_amending_needs_the_version_that_was_read(officer):
    path = f"/stakeholders/{(await register(officer)).json()['id']}"
    change = {"region": "london"}
    assert is_problem(await officer.patch(path, json=change), 428)
    assert is_problem(await officer.patch(path, json=change, headers={"If-Match": '"2"'}), 412)
    assert is_problem(await officer.patch(path, json={"name": None}, headers={"If-Match": '"1"'}), 422)
    assert (await officer.patch(path, json={}, headers={"If-Match": '"1"'})).headers["ETag"] == '"1"'
    await officer.delete(path)
    assert is_problem(await officer.patch(path, json=change, headers={"If-Match": '"2"'}), 410, "stakeholder-gone")
    missing = await officer.patch(f"/stakeholders/{NOBODY}", json=change, headers={"If-Match": '"1"'})
    assert is_problem(missing, 404, "stakeholder-not-found")


async def test_consents_have_their_own_problems(officer):
    path = f"/stakeholders/{(await register(officer)).json()['id']}/consents"
    agreement = {"purpose": "updates", "channel": "email", "proof": "form"}
    never = await officer.delete(f"{path}/updates/email", params={"proof": "form"})
    assert is_problem(never, 404, "consent-never-granted")
    assert "never granted" in never.json()["detail"]
    future = await officer.post(path, json={**agreement, "granted_at": "2999-01-01T00:00:00Z"})
    assert is_problem(future, 422, "consent-in-future")
    assert is_problem(await officer.post(path, json={**agreement, "purpose": "selling"}), 422)
    assert is_problem(await officer.delete(f"{path}/updates/pigeon", params={"proof": "form"}), 422)
    assert is_problem(await officer.delete(f"{path}/updates/email"), 422)
    await officer.post(path, json=agreement)
    await officer.delete(f"{path}/updates/email", params={"proof": "form"})
    old = await officer.post(path, json={**agreement, "granted_at": "2019-01-01T00:00:00Z"})
    assert is_problem(old, 409, "consent-withdrawn-since")


async def test_unknown_and_malformed_ids(officer):
    assert is_problem(await officer.get(f"/stakeholders/{NOBODY}"), 404, "stakeholder-not-found")
    assert is_problem(await officer.get("/stakeholders/nobody"), 422)
    assert is_problem(await officer.delete(f"/stakeholders/{NOBODY}"), 404)


async def test_search_goes_page_by_page(officer):
    for number in range(5):
        await register(officer, key=str(number), name=f"Example Body {number}", region="wales" if number else "london")
    seen, cursor = [], None
    while True:
        parameters = {"region": "wales", "name": "exam bod", "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await officer.get("/stakeholders", params=parameters)).json()
        seen += [found["name"] for found in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [f"Example Body {number}" for number in range(1, 5)]
    first = (await officer.get("/stakeholders", params={"limit": 1})).json()["next"]
    elsewhere = await officer.get("/stakeholders", params={"region": "wales", "cursor": first})
    assert is_problem(elsewhere, 400)
    assert is_problem(await officer.get("/stakeholders", params={"name": "e"}), 422, "name-too-short")
    assert is_problem(await officer.get("/stakeholders", params={"limit": 0}), 422)


async def test_without_the_office_one_sees_facts_and_no_identities(officer, analyst):
    id_ = (await register(officer)).json()["id"]
    one = (await analyst.get(f"/stakeholders/{id_}")).json()
    [listed] = (await analyst.get("/stakeholders")).json()["items"]
    for shown in (one, listed):
        assert (shown["id"], shown["region"]) == (id_, "wales")
        assert not {"name", "email", "phone", "reference"} & shown.keys()
    assert is_problem(await analyst.get("/stakeholders", params={"name": "example"}), 403, "identities-hidden")


async def test_segments_and_the_unmapped(officer, analyst):
    await register(officer, key="a")
    await register(officer, key="b", subtype="parliamentarians")
    await register(officer, key="c", subtype="police", synthetic=False)
    synthetic = (await analyst.get("/segments", params={"synthetic": True})).json()
    assert synthetic["counts"] == {"police": 0, "police-accountability": 1, "non-police": 0}
    assert synthetic["unmapped"] == [{"category": "statutory", "subtype": "parliamentarians", "count": 1}]
    assert (await analyst.get("/segments")).json()["counts"]["police"] == 1
    listed = (await analyst.get("/stakeholders", params={"segment": "unmapped"})).json()["items"]
    assert [found["subtype"] for found in listed] == ["parliamentarians"]


async def test_reference_data_can_be_read(analyst):
    data = (await analyst.get("/reference")).json()
    assert len(data["subtypes"]) == 15
    assert len(data["regions"]) == 6
    assert data["subtypes"]["police"]["segment_basis"]
    assert data["confidence_groups"]["bame"]["labels"] == {"2": "Black, Asian and minority ethnic"}


FILE = """reference,kind,name,category,subtype,consents
EX-1,organisation,"Example Organisation
",statutory,police,updates:email
EX-2,ghost,Example,statutory,,
EX-3,person,Example Person,friends,,
EX-1,organisation,Example Two,statutory,police,
,person,Example Person,public,,
"""
CSV = {"Content-Type": "text/csv; charset=utf-8"}


def lines(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_a_dry_run_answers_for_every_row_and_changes_nothing(registry, officer):
    answer = await officer.post("/stakeholders/import", params={"dry_run": True}, content=FILE, headers=CSV)
    told = lines(answer)
    assert [(row["line"], row["status"]) for row in told] == [
        (2, "registered"),
        (4, "refused"),
        (5, "refused"),
        (6, "known"),
        (7, "registered"),
    ]
    assert told[0]["id"] is None
    assert await registry.events() == []
    for name in ("stakeholders", "references", "journal"):
        assert await registry.runtime.database[name].count_documents({}) == 0
    keyring = registry.runtime.client[registry.runtime.settings.keyring]
    assert await keyring["keys"].count_documents({}) == 0


async def test_an_import_answers_for_every_row(registry, officer):
    told = lines(await officer.post("/stakeholders/import", content=FILE, headers=CSV))
    assert [row["status"] for row in told] == ["registered", "refused", "refused", "known", "registered"]
    assert (told[3]["id"], told[3]["differs"]) == (told[0]["id"], ["name"])
    assert told[1]["problem"]["type"] == "urn:rapport:problem:row-invalid"
    assert told[1]["problem"]["detail"].startswith("kind:")
    assert told[2]["problem"]["type"] == "urn:rapport:problem:unknown-code"
    events = await registry.events()
    assert [type(e) for e in events if e.aggregate_id() == told[0]["id"]] == [StakeholderRegistered, ConsentGranted]
    assert [type(e) for e in events if e.aggregate_id() == told[4]["id"]] == [StakeholderRegistered]
    again = lines(await officer.post("/stakeholders/import", content=FILE, headers=CSV))
    assert [row["status"] for row in again] == ["known", "refused", "refused", "known", "registered"]


async def test_an_import_larger_than_a_body_may_be_goes_through_in_chunks(registry, officer):
    rows = [f"EX-{number},organisation,{'Example ' * 24}{number},statutory" for number in range(6_000)]
    file = "\n".join(["reference,kind,name,category", *rows]).encode()
    assert len(file) > registry.runtime.settings.http_body_limit
    told = lines(await officer.post("/stakeholders/import", content=file, headers=CSV))
    assert [row["line"] for row in told] == list(range(2, 6_002))
    assert {row["status"] for row in told} == {"registered"}
    assert await registry.runtime.database["stakeholders"].count_documents({}) == 6_000


async def test_a_file_that_breaks_off_says_where_and_keeps_what_came_before(registry, officer):
    file = b"kind,name,category\nperson,Example Person,public\nperson,\xff,public\n"
    told = lines(await officer.post("/stakeholders/import", content=file, headers=CSV))
    assert [(row["line"], row["status"]) for row in told][-1] == (None, "refused")
    assert told[-1]["problem"]["type"] == "urn:rapport:problem:file-unreadable"


@pytest.mark.parametrize(
    ("file", "status", "slug"),
    [
        (b"", 422, "columns-wrong"),
        (b"kind,name\n", 422, "columns-wrong"),
        (b"kind,name,category,stance\n", 422, "columns-wrong"),
        (b'"kind\n', 400, "file-unreadable"),
    ],
)
async def test_a_file_that_is_none_is_a_problem(officer, file, status, slug):
    assert is_problem(await officer.post("/stakeholders/import", content=file, headers=CSV), status, slug)


async def test_an_import_is_csv(officer):
    answer = await officer.post("/stakeholders/import", content=b"{}", headers={"Content-Type": "application/json"})
    assert is_problem(answer, 415)


async def test_the_api_describes_itself(registry):
    described = registry.app.openapi()
    imported = described["paths"]["/stakeholders/import"]["post"]
    assert list(imported["requestBody"]["content"]) == ["text/csv"]
    assert "FactsView" in described["components"]["schemas"]


async def test_a_file_that_is_too_long_is_read_up_to_its_limit(registry, officer, monkeypatch):
    monkeypatch.setattr(imports, "MOST_ROWS", 2)
    file = "kind,name,category\n" + "person,Example Person,public\n" * 3
    told = lines(await officer.post("/stakeholders/import", content=file, headers=CSV))
    assert [row["status"] for row in told] == ["registered", "registered", "refused"]
    assert told[-1]["problem"]["detail"].startswith("line 4: not read from here on")
    assert await registry.runtime.database["stakeholders"].count_documents({}) == 2
