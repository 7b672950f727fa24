"""Rate limits: all processes together never grant more than the limit, and who is refused learns when to come again."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from prometheus_client import REGISTRY
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from rapport_chassis.allowances import LEASE, PORTION, RULES, Allowances
from rapport_chassis.errors import TooManyRequests
from rapport_chassis.http.routes import network_of
from rapport_chassis.testing import Component, component

from libs.chassis.tests.http.conftest import SERVICE

pytestmark = pytest.mark.catalogue("Z13")


@pytest.fixture
def collection(database: AsyncDatabase) -> AsyncCollection:
    return database["allowances"]


def process(collection: AsyncCollection, **rates: str) -> Allowances:
    """What another process of the service would have; hashes are legible."""
    return Allowances(collection, legible, rates)


async def legible(text: str) -> str:
    return text.encode().hex()


async def granted(*processes: Allowances, times: int, actor: str = "somebody") -> int:
    """How many of so many are let through, when all ask at once and in turns."""
    asked = (processes[n % len(processes)].take("writes", actor) for n in range(times))
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert all(outcome is None or isinstance(outcome, TooManyRequests) for outcome in outcomes), outcomes
    return outcomes.count(None)


async def admitted(allowances: Allowances, count: int, *, within: float) -> None:
    """Wait until so many are let through, and not longer than was said."""
    began = time.monotonic()
    while True:
        asked = time.monotonic()
        try:
            await allowances.take("writes", "somebody", count)
        except TooManyRequests:
            assert asked - began <= within
            await asyncio.sleep(0.02)
        else:
            return


def refusals() -> float:
    return REGISTRY.get_sample_value("rapport_limit_refusals_total", {"rule": "writes"}) or 0.0


@pytest.mark.parametrize("limit", [1, 7, 100, 1_000])
async def test_several_processes_grant_no_more_than_the_limit_together(collection: AsyncCollection, limit: int) -> None:
    processes = [process(collection, writes=f"{limit}/3600") for _ in range(3)]
    passed = await granted(*processes, times=3 * limit + 20)
    assert limit - len(processes) * (limit // PORTION) <= passed <= limit


async def test_actors_do_not_share_and_rules_do_not_either(collection: AsyncCollection) -> None:
    mine = process(collection, writes="2/3600")
    assert await granted(mine, times=5) == 2
    assert await granted(mine, times=5, actor="another") == 2
    await mine.take("reads", "somebody")


async def test_what_a_dead_process_held_is_all_that_is_lost(collection: AsyncCollection) -> None:
    await process(collection, writes="1000/3600").take("writes", "somebody")  # it took ten, gave one, and is gone
    left = await granted(process(collection, writes="1000/3600"), times=1_100)
    assert 1_000 - 2 * 10 <= left <= 990


async def test_who_is_refused_is_told_when_to_come_again(collection: AsyncCollection) -> None:
    mine = process(collection, writes="3/3")
    assert await granted(mine, times=3) == 3
    with pytest.raises(TooManyRequests) as refused:
        await mine.take("writes", "somebody")
    assert refused.value.retry_after == 1
    with pytest.raises(TooManyRequests):
        await process(collection, writes="3/3").take("writes", "somebody")  # nor does another process
    await admitted(mine, 1, within=refused.value.retry_after)


async def test_more_at_once_than_is_left_takes_nothing(collection: AsyncCollection) -> None:
    mine, another = process(collection, writes="10/3600"), process(collection, writes="10/3600")
    await mine.take("writes", "somebody", 2)
    with pytest.raises(TooManyRequests):
        await mine.take("writes", "somebody", 9)
    assert await granted(another, times=9) == 8, "what was refused here is there"


async def test_more_than_the_whole_limit_counts_as_the_whole_limit(collection: AsyncCollection) -> None:
    mine = process(collection, writes="5/1")
    await mine.take("writes", "somebody", 500)
    with pytest.raises(TooManyRequests) as refused:
        await mine.take("writes", "somebody", 500)
    assert refused.value.retry_after == 1
    await admitted(mine, 500, within=refused.value.retry_after)


async def test_what_was_not_given_out_in_time_is_given_back(collection: AsyncCollection) -> None:
    """One request now and then, each when the portion before has run out: the limit lasts for as many as it says."""
    clock = 0.0
    mine = Allowances(collection, legible, {"writes": "1000/86400"}, elapsed=lambda: clock)
    for _ in range(999):
        await mine.take("writes", "somebody")
        clock += LEASE + 1
    assert await granted(process(collection, writes="1000/86400"), times=1, actor="another") == 1


async def test_in_any_time_no_more_is_granted_than_the_limit_and_what_the_time_makes_good(
    collection: AsyncCollection,
) -> None:
    limit, seconds = 20, 1.0
    processes = [process(collection, writes=f"{limit}/{seconds}") for _ in range(2)]
    began, passed = time.monotonic(), 0
    while (elapsed := time.monotonic() - began) < 2 * seconds:
        passed += await granted(*processes, times=4)
        await asyncio.sleep(0)
    elapsed = time.monotonic() - began
    assert limit < passed <= limit * (1 + elapsed / seconds)


async def test_every_refusal_is_counted(collection: AsyncCollection) -> None:
    before = refusals()
    assert await granted(process(collection, writes="5/3600"), times=105) == 5
    assert refusals() - before == 100


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::/64"),
        ("no address", "unknown"),
    ],
)
def test_an_address_is_its_network(address: str, network: str) -> None:
    assert network_of({"client": (address, 1)}) == network


async def test_nobody_s_name_is_kept(things: Component) -> None:
    async with things.http("maker", subject="somebody.by.name") as maker:
        assert (await maker.post("/things", json={"id": "a"}, headers={"Idempotency-Key": "1"})).status_code == 201
    kept = [document async for document in things.runtime.database["allowances"].find({})]
    assert kept
    assert "somebody.by.name" not in repr(kept)
    assert all(document["expires_at"] for document in kept)


async def test_while_mongodb_does_not_say_nobody_is_refused() -> None:
    """Nor kept waiting one after the other: see also `pressure/test_store_without_majority`."""
    gone = AsyncMongoClient("mongodb://127.0.0.1:1/")
    await gone.close()
    assert await granted(process(gone["x"]["allowances"], writes="1/3600"), times=3) == 3


def test_a_rate_is_a_number_in_so_many_seconds() -> None:
    for wrong in ({"writes": "many"}, {"writes": "0/60"}, {"writes": "5"}, {"writes": "5/0"}, {"wirtes": "5/60"}):
        with pytest.raises(ValueError, match=r"rate|limit|int|unpack|float"):
            Allowances(None, legible, wrong)


# Over HTTP --------------------------------------------------------------------------------------------------------------

AMPLE = dict.fromkeys(RULES, "1000000/1")


@asynccontextmanager
async def two(mongo_uri: str, name: str, **limits: str) -> AsyncIterator[tuple[Component, Component]]:
    """Two processes of one service, over the same database."""
    settings = {"limits": {**AMPLE, **limits}}
    async with (
        component(SERVICE, mongo_uri, name, **settings) as one,
        component(SERVICE, mongo_uri, name, **settings) as other,
    ):
        yield one, other


async def made(http: httpx.AsyncClient, name: str) -> httpx.Response:
    return await http.post("/things", json={"id": name}, headers={"Idempotency-Key": f"key-{name}"})


async def test_a_refusal_says_what_to_do_and_leaves_no_trace(mongo_uri: str) -> None:
    async with (
        two(mongo_uri, "limits_trace", writes="2/2") as (one, other),
        one.http("maker", "reader") as here,
        other.http("maker", "reader") as there,
    ):
        answers = [await made(http, name) for http, name in ((here, "a"), (there, "b"), (here, "c"))]
        assert [answer.status_code for answer in answers] == [201, 201, 429]
        refused = answers[2]
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["type"] == "urn:rapport:problem:too-many-requests"
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["ratelimit-policy"] == '"writes";q=2;w=2'
        assert refused.headers["ratelimit"] == '"writes";r=0;t=1'
        assert (await here.get("/things/c")).status_code == 404, "reads have a rule of their own"
        assert len(await one.events()) == 2
        deadline = time.monotonic() + 5
        while (again := await made(there, "c")).status_code == 429:  # its key was not used up
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        assert again.status_code == 201
        assert "idempotency-replayed" not in again.headers


@pytest.mark.catalogue("B40")
async def test_twins_at_two_processes_have_one_effect_and_cost_two(mongo_uri: str) -> None:
    async with (
        two(mongo_uri, "limits_twins", writes="3/3600") as (one, other),
        one.http("maker") as here,
        other.http("maker") as there,
    ):
        twins = await asyncio.gather(made(here, "a"), made(there, "a"))
        assert [answer.status_code for answer in twins] == [201, 201]
        assert twins[0].json() == twins[1].json()
        assert len(await one.events()) == 1
        assert [(await made(here, name)).status_code for name in "bc"] == [201, 429]


async def test_rows_count(mongo_uri: str) -> None:
    async with two(mongo_uri, "limits_rows", writes="10/3600") as (one, _), one.http("maker") as http:
        for first, taken in ((0, 5), (5, 0), (5, 0)):
            rows = [{"id": f"t{n}"} for n in range(first, first + 5)]
            answers = (await http.post("/things/many", json=rows)).json()
            assert sum("id" in answer for answer in answers) == taken
        assert answers[0]["problem"]["type"] == "urn:rapport:problem:too-many-requests"
        assert len(await one.events()) == 5


@pytest.mark.catalogue("A11")
async def test_tokens_cannot_be_tried_by_the_hundred(mongo_uri: str) -> None:
    async with (
        two(mongo_uri, "limits_tokens", **{"bad-tokens": "5/3600"}) as (one, other),
        one.http("maker") as good,
        one.http() as here,
        other.http() as there,
    ):
        statuses = []
        for number in range(12):
            http = (here, there)[number % 2]
            headers = {"Authorization": f"Bearer guess-{number}", "X-Forwarded-For": f"10.0.0.{number}"}
            answer = await http.get("/things/a", headers=headers)
            statuses.append(answer.status_code)
        assert statuses == [401] * 5 + [429] * 7
        assert int(answer.headers["retry-after"]) > 1
        assert (await made(good, "a")).status_code == 201, "a colleague at the same address goes on"
        assert (await here.get("/things/a")).status_code == 401, "no token is no guess"
