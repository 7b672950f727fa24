"""Instruments, waves and single responses over HTTP, to the events they tell."""

import asyncio
import uuid

from rapport_events.feedback import InstrumentPublished, ResponseReceived, WaveClosed, WaveOpened

RESPONSE = {"answers": {"heard": "yes"}, "groups": ["bame"], "region": "north", "weight": 1.25}


async def test_from_instrument_to_response(feedback, researcher, collector, instrument, wave, count):
    answered = await collector.post(
        f"/waves/{wave['id']}/responses", json=RESPONSE, headers={"Idempotency-Key": "key-1"}
    )
    assert answered.status_code == 201
    receipt = answered.json()
    assert uuid.UUID(receipt["response_id"]).version == 8
    assert await count() == 1
    told = {type(event): event for event in await feedback.events()}
    assert set(told) == {InstrumentPublished, WaveOpened, ResponseReceived}
    response = told[ResponseReceived]
    assert (response.response_id, response.weight, response.region) == (receipt["response_id"], 12_500, "north")
    shown = (await researcher.get("/instruments/tracker/1")).json()
    assert shown["questions"][0]["text"] == instrument["questions"][0]["text"]
    assert (await researcher.get("/instruments/tracker/2")).status_code == 404
    assert (await researcher.get("/instruments")).json()["items"][0]["versions"] == [1]


async def test_the_same_request_again_is_the_same_response(collector, wave, count):
    path, headers = f"/waves/{wave['id']}/responses", {"Idempotency-Key": "key-1"}
    answers = await asyncio.gather(*(collector.post(path, json=RESPONSE, headers=headers) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["response_id"] for answer in answers}) == 1
    assert await count() == 1
    other = await collector.post(path, json={"answers": {"heard": "no"}}, headers=headers)
    assert other.status_code == 422
    assert (await collector.post(path, json=RESPONSE)).status_code == 400


async def test_a_reference_holds_beyond_the_key(collector, wave, count):
    path, sent = f"/waves/{wave['id']}/responses", {**RESPONSE, "reference": "row-1"}
    first = await collector.post(path, json=sent, headers={"Idempotency-Key": "key-1"})
    again = await collector.post(path, json=sent, headers={"Idempotency-Key": "key-2"})
    assert again.json() == first.json()
    changed = await collector.post(path, json={**sent, "region": "south"}, headers={"Idempotency-Key": "key-3"})
    assert (changed.status_code, changed.json()["type"].rpartition("/")[2].rpartition(":")[2]) == (
        409,
        "reference-reused",
    )
    assert await count() == 1


async def test_what_does_not_fit_is_told_without_quoting_it(collector, wave):
    path = f"/waves/{wave['id']}/responses"
    wrong = await collector.post(path, json={"answers": {"heard": "perhaps"}}, headers={"Idempotency-Key": "key-1"})
    assert (wrong.status_code, "perhaps" in wrong.text) == (422, False)
    unknown = await collector.post(path, json={**RESPONSE, "ip": "192.0.2.1"}, headers={"Idempotency-Key": "key-2"})
    assert (unknown.status_code, "192.0.2.1" in unknown.text) == (422, False)


async def test_a_closed_wave_refuses_at_once(feedback, researcher, collector, wave, count):
    path, etag = f"/waves/{wave['id']}", f'"{wave["version"]}"'
    assert (await researcher.post(f"{path}/close")).status_code == 428
    assert (await researcher.post(f"{path}/close", headers={"If-Match": '"9"'})).status_code == 412
    closed = await researcher.post(f"{path}/close", headers={"If-Match": etag})
    assert (closed.status_code, closed.json()["state"]) == (200, "closed")
    refused = await collector.post(f"{path}/responses", json=RESPONSE, headers={"Idempotency-Key": "key-1"})
    assert refused.status_code == 409
    streamed = await collector.post(
        f"{path}/responses/import", content=b"", headers={"Content-Type": "application/x-ndjson"}
    )
    assert streamed.status_code == 409
    assert await count() == 0
    assert sum(isinstance(event, WaveClosed) for event in await feedback.events()) == 1
    again = await researcher.post(f"{path}/close", headers={"If-Match": closed.headers["etag"]})
    assert again.status_code == 409


async def test_closing_amid_responses_loses_none_that_was_acknowledged(researcher, collector, wave, count):
    path = f"/waves/{wave['id']}"

    async def respond(number):
        answered = await collector.post(
            f"{path}/responses", json=RESPONSE, headers={"Idempotency-Key": f"key-{number}"}
        )
        return answered.status_code

    before = [asyncio.create_task(respond(number)) for number in range(50)]
    closing = asyncio.create_task(researcher.post(f"{path}/close", headers={"If-Match": f'"{wave["version"]}"'}))
    statuses = await asyncio.gather(*before)
    assert (await closing).status_code == 200
    assert set(statuses) <= {201, 409}
    assert await respond(99) == 409
    assert await count() == statuses.count(201)


async def test_two_versions_at_once_are_one(researcher, instrument):
    answers = await asyncio.gather(*(researcher.post("/instruments", json=instrument) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


async def test_two_waves_at_one_place_are_one(researcher, wave, wave_to_open):
    made = {**wave_to_open, "ordinal": 1}
    answers = await asyncio.gather(*(researcher.post("/waves", json=made) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


async def test_waves_by_the_page(researcher, wave, wave_to_open):
    for ordinal in (1, 2):
        await researcher.post("/waves", json={**wave_to_open, "ordinal": ordinal})
    first = (await researcher.get("/waves", params={"instrument_code": "tracker", "limit": 2})).json()
    assert [item["ordinal"] for item in first["items"]] == [0, 1]
    rest = await researcher.get("/waves", params={"instrument_code": "tracker", "limit": 2, "cursor": first["next"]})
    assert [item["ordinal"] for item in rest.json()["items"]] == [2]
    assert rest.json()["next"] is None
    assert (await researcher.get("/waves", params={"cursor": first["next"]})).status_code == 400
    assert (await researcher.get("/waves", params={"state": "closed"})).json()["items"] == []
    assert (await researcher.get(f"/waves/{wave['id']}")).json() == wave
