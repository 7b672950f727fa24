"""What an operator learns of events that somebody else has not applied: how many, and what they are about, never whose."""

from dataclasses import replace

from rapport_chassis.journal import Batch, Partition, partition_of

TOPIC = "feedback.response"


async def outstanding(feedback, *heard):
    async with feedback.http("operator") as operator:
        answer = await operator.get("/operations/outstanding", params={"topic": TOPIC, "heard": heard})
        assert answer.status_code == 200, answer.text
        return {(each["state"], tuple((each["about"] or {}).get("groups", ()))): each for each in answer.json()}


async def answered(collector, wave, number, **facts):
    """The response's id, and with it its partition."""
    path, key = f"/waves/{wave['id']}/responses", {"Idempotency-Key": f"key-{number}"}
    said = (await collector.post(path, json={"answers": {"heard": "yes"}, **facts}, headers=key)).json()
    return said["event"], partition_of(TOPIC, said["response_id"])


async def test_unsent_and_unheard_events_are_counted_by_what_they_are_about(feedback, collector, wave):
    told = [await answered(collector, wave, n, groups=["bame"], region="north") for n in range(6)]
    told += [await answered(collector, wave, n) for n in range(6, 10)]
    found = await outstanding(feedback)
    assert {kind: each["events"] for kind, each in found.items()} == {("unsent", ("bame",)): 6, ("unsent", ()): 4}
    about = {"wave_id": wave["id"], "instrument_code": "tracker", "answers": ["heard"], "groups": ["bame"]}
    assert found["unsent", ("bame",)]["about"] == about, "neither a region nor an id, nor what was answered"

    by_partition = {}
    for event, number in told[:6]:
        by_partition.setdefault(number, []).append(event)
    batches = [Batch(Partition(TOPIC, number), 1, tuple(events)) for number, events in by_partition.items()]
    journal = feedback.runtime.journal
    for batch in batches:
        assert await journal.reserve(batch)
    assert await outstanding(feedback) == found, "what is in flight is not sent"
    for batch in batches:
        await journal.finish(replace(batch, offset=len(batch.ids) - 1, log="log"))
    found = await outstanding(feedback)
    assert {kind: each["events"] for kind, each in found.items()} == {("unheard", ("bame",)): 6, ("unsent", ()): 4}

    heard = [len(by_partition.get(number, ())) for number in range(6)]
    assert list(await outstanding(feedback, *heard)) == [("unsent", ())]
    heard[batches[0].partition.number] -= 1
    assert (await outstanding(feedback, *heard))["unheard", ("bame",)]["events"] == 1


async def test_only_an_operator_is_told_and_only_of_a_topic_of_this_service(feedback, researcher):
    assert (await researcher.get("/operations/outstanding", params={"topic": TOPIC})).status_code == 403
    async with feedback.http("operator") as operator:
        other = await operator.get("/operations/outstanding", params={"topic": "registry.stakeholder"})
        assert other.status_code == 404
        assert (await operator.get("/operations/heard")).json() == {}
