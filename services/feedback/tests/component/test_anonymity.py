"""What is left of an anonymous response: its day. Demand H10, looked for in everything that is stored and logged."""

import asyncio
import json
import re
from datetime import UTC, date, datetime

import pytest
from rapport_events.registry import StakeholderErased

STAKEHOLDER = "01900000-0000-7000-8000-0000000000aa"
WORDS = "In my very own words."
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
FINE_TIME = re.compile(r"\d\d:\d\d(:\d\d)?")
MIDNIGHT = re.compile(r"\d{4}-\d\d-\d\d[T ]00:00:00(Z|\+00:00)")
DAY_US = 86_400_000_000


async def stored(component):
    """Every document of the service and of the keyring that holds or may lead to a response, by collection."""
    found = {}
    for database in (component.runtime.database, component.runtime.client[component.runtime.settings.keyring]):
        for name in await database.list_collection_names():
            if name not in {"instruments", "waves", "secrets", "vault"}:
                found[name] = [document async for document in database[name].find({})]
    told = [entry for entry in found["journal"] if entry["topic"] != "feedback.response"]
    assert all(entry["topic"] in {"feedback.instrument", "feedback.wave"} for entry in told)
    found["journal"] = [entry for entry in found["journal"] if entry["topic"] == "feedback.response"]
    return found


def values(document):
    """Every value in a document, keys included."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield key
            yield from values(value)
    elif isinstance(document, list):
        for value in document:
            yield from values(value)
    else:
        yield document


@pytest.fixture
async def responded(collector, wave, stream):
    """Anonymous responses by both ways in, and a named one between them."""
    path = f"/waves/{wave['id']}/responses"
    answer = {"answers": {"heard": "yes"}}
    caller = {
        "X-Forwarded-For": "192.0.2.77",
        "User-Agent": "Example Browser",
    }
    receipts = []
    for number, sent in enumerate((answer | {"comment": WORDS}, answer | {"stakeholder_id": STAKEHOLDER}, answer)):
        answered = await collector.post(path, json=sent, headers={**caller, "Idempotency-Key": f"key-{number}"})
        assert answered.status_code == 201
        receipts.append(answered.json())
    rows = [json.dumps(answer | {"reference": f"interview-{n}", "comment": WORDS}) for n in range(5)]
    receipts += await stream("\n".join(rows))
    return receipts


async def test_nothing_that_is_stored_tells_more_than_the_day(feedback, wave, responded):
    today = datetime.now(UTC).date()
    collections = await stored(feedback)
    assert len(collections["responses"]) == len(collections["journal"]) == 8
    for name, documents in collections.items():
        for document in documents:
            for value in values(document):
                told = f"{name}: {value!r}"
                match value:
                    case datetime():
                        assert (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0), told
                    case str():
                        assert not FINE_TIME.search(MIDNIGHT.sub("", value)), told
                        assert value in {wave["id"], STAKEHOLDER} or not UUID7.search(value.replace(wave["id"], "")), (
                            told
                        )
                        for trail in ("192.0.2", "127.0.0.1", "Example Browser", "interview-", WORDS, "tester"):
                            assert trail not in value, told
                    case int() if value > 1_000_000_000:
                        midnight = int(datetime(today.year, today.month, today.day, tzinfo=UTC).timestamp() * 1e6)
                        assert midnight + DAY_US <= value < midnight + 2 * DAY_US, told


async def test_places_do_not_show_what_came_together(feedback, responded):
    """Responses of one moment lie hours apart: their places are drawn from a whole day."""
    entries = (await stored(feedback))["journal"]
    places = sorted(entry["pos"] for entry in entries)
    assert places[-1] - places[0] > DAY_US / 1_000
    assert len({entry["envelope"]["correlationid"] for entry in entries}) == len(entries)


async def test_the_log_says_nothing_of_it(collector, wave, capfd, caplog):
    sent = {"answers": {"heard": "yes"}, "comment": WORDS, "reference": "interview-7"}
    path = f"/waves/{wave['id']}/responses"
    answered = await collector.post(path, json=sent, headers={"Idempotency-Key": "key-1"})
    await collector.post(path, json=sent | {"region": "nowhere"}, headers={"Idempotency-Key": "key-2"})
    out, err = capfd.readouterr()
    logged = out + err + caplog.text
    for trail in (answered.json()["response_id"], answered.json()["event"], WORDS, "interview-7", "nowhere"):
        assert trail not in logged


async def test_an_erased_stakeholder_is_no_more_in_its_responses(feedback, collector, wave, responded, count):
    await feedback.consume(StakeholderErased(stakeholder_id=STAKEHOLDER, erased_on=date(2026, 1, 6)))
    responses = (await stored(feedback))["responses"]
    assert STAKEHOLDER not in repr(responses)
    assert await count() == 8
    answered = await collector.post(
        f"/waves/{wave['id']}/responses",
        json={"answers": {"heard": "yes"}, "stakeholder_id": STAKEHOLDER},
        headers={"Idempotency-Key": "key-9"},
    )
    assert answered.status_code == 410


async def test_an_erasure_amid_responses_misses_none(feedback, collector, wave):
    async def respond(number):
        answered = await collector.post(
            f"/waves/{wave['id']}/responses",
            json={"answers": {"heard": "yes"}, "stakeholder_id": STAKEHOLDER},
            headers={"Idempotency-Key": f"key-{number}"},
        )
        return answered.status_code

    async def erase():
        """As the consumer would: a lost race is run again."""
        erased = StakeholderErased(stakeholder_id=STAKEHOLDER, erased_on=date(2026, 1, 6))
        await feedback.runtime.perform(lambda unit: feedback.service.consumes[StakeholderErased](erased, unit))

    statuses, _ = await asyncio.gather(asyncio.gather(*(respond(number) for number in range(6))), erase())
    assert set(statuses) <= {201, 409, 410}
    responses = (await stored(feedback))["responses"]
    assert len(responses) == statuses.count(201)
    assert STAKEHOLDER not in repr(responses)
