"""Promises over HTTP and by the clock, and the proof that those who took part were told."""

import asyncio
from datetime import UTC, date, datetime

from engagement.usecases.break_overdue_promises import break_overdue_promises
from rapport_events.engagement import ExerciseOpened, PromiseBroken, PromiseKept, PromiseMade, ReplyPublished
from rapport_events.notifications import MessageSent

LATE = {"opened_on": "2019-04-01", "reply_due": "2019-05-01"}


async def told(service):
    return [type(event) for event in await service.events()]


async def opened(officer, body, headers):
    answer = await officer.post("/exercises", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"], {"If-Match": answer.headers["ETag"]}


async def test_a_reply_in_time_keeps_the_promise(service, officer, exercise, key):
    id_, read = await opened(officer, exercise, key())
    async with service.http("director") as director:
        replied = await director.post(f"/exercises/{id_}/reply", json={"reply": "Example reply"}, headers=read)

    assert replied.status_code == 200
    assert (replied.json()["promise_state"], replied.headers["ETag"]) == ("kept", '"2"')
    assert await told(service) == [ExerciseOpened, PromiseMade, ReplyPublished, PromiseKept]
    entry = await service.runtime.database["journal"].find_one({"envelope.type": ReplyPublished.type})
    stored = await service.runtime.database["exercises"].find_one({"_id": id_})
    assert stored["reply_event"] == entry["_id"]
    assert "Example reply" not in str(stored) + str(entry)


async def test_a_reply_names_the_version_it_answers_to(officer, exercise, key):
    id_, read = await opened(officer, exercise, key())
    url, body = f"/exercises/{id_}/reply", {"reply": "Example reply"}

    assert (await officer.post(url, json=body)).status_code == 428
    assert (await officer.post(url, json=body, headers={"If-Match": '"7"'})).status_code == 412
    assert (await officer.post(url, json=body, headers=read)).status_code == 200
    assert (await officer.post(url, json=body, headers=read)).status_code == 412
    twice = await officer.post(url, json=body, headers={"If-Match": '"2"'})
    assert (twice.status_code, twice.json()["type"]) == (409, "urn:rapport:problem:already-replied")
    assert (await officer.post("/exercises/none/reply", json=body, headers=read)).status_code == 404


async def test_one_of_two_replies_at_once_is_published(service, officer, exercise, key):
    id_, read = await opened(officer, exercise, key())
    answers = await asyncio.gather(
        *(officer.post(f"/exercises/{id_}/reply", json={"reply": f"Reply {n}"}, headers=read) for n in range(2))
    )

    assert sorted(answer.status_code for answer in answers) == [200, 412]
    assert (await told(service)).count(ReplyPublished) == 1


async def test_the_clock_breaks_an_overdue_promise_once(service, officer, exercise, key):
    id_, _ = await opened(officer, {**exercise, **LATE}, key())

    strokes = await asyncio.gather(*(service.runtime.perform(break_overdue_promises) for _ in range(3)))

    assert max(strokes) == 1
    assert (await told(service)).count(PromiseBroken) == 1
    read = await officer.get(f"/exercises/{id_}")
    assert read.json()["promise_state"] == "broken"
    late = await officer.post(
        f"/exercises/{id_}/reply", json={"reply": "Example reply"}, headers={"If-Match": read.headers["ETag"]}
    )
    assert late.json()["promise_state"] == "broken"
    assert (await told(service))[3:] == [ReplyPublished]
    broken = (await officer.get("/exercises", params={"promise_state": "broken"})).json()
    assert [item["id"] for item in broken["items"]] == [id_]


async def test_impossible_promises_are_refused(service, officer, exercise, key):
    for wrong in (
        {"reply_due": date(2019, 6, 3).isoformat()},
        {"decision_maker": "se-team"},
        {"decision_maker": "example-name"},
        {"opened_on": "2999-01-01", "reply_due": "2999-02-01"},
        {"title": ""},
    ):
        refused = await officer.post("/exercises", json={**exercise, **wrong}, headers=key())
        assert refused.status_code == 422, wrong
    assert await service.events() == []


async def test_receipts_prove_who_was_told(service, officer, exercise, key):
    id_, read = await opened(officer, exercise, key())
    await officer.post(f"/exercises/{id_}/reply", json={"reply": "Example reply"}, headers=read)
    cause = (await officer.get(f"/exercises/{id_}/receipts")).json()["reply_event"]
    first, second = exercise["participants"]
    await service.consume(
        MessageSent(
            message_id="example-message",
            subscription_id="example-subscription",
            stakeholder_id=first,
            cause=cause,
            cause_type=ReplyPublished.type,
            channel="email",
            template="reply-published",
            template_version=1,
            attempts=1,
            sent_at=datetime(2019, 6, 3, tzinfo=UTC),
        ),
    )

    proof = (await officer.get(f"/exercises/{id_}/receipts")).json()
    assert (proof["told"], proof["not_told"], proof["waiting"]) == ([first], [], [second])
    assert [(receipt["id"], receipt["outcome"]) for receipt in proof["receipts"]] == [("example-message", "sent")]
