"""Kafka's data folder deleted while everything runs: the journals fill the new cluster, and no figure moves."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from rapport_cli.running.platform import Platform
from rapport_events.catalog import TOPICS

from tests.integration.acts import (
    answer,
    consent,
    counted,
    explained,
    import_responses,
    log_contact,
    open_wave,
    prepare,
    promise_broken,
    register,
    submit,
    subscribe,
)
from tests.integration.conftest import running
from tests.integration.rapport import Rapport, new_key, until

RESPONSES = 300


@pytest.fixture
def fragile(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform of this test's own: it takes its brokers' data away."""
    with running(request, tmp_path_factory) as platform:
        yield platform


@pytest.fixture
async def rapport(fragile: Platform) -> AsyncIterator[Rapport]:
    async with Rapport.of(fragile) as found:
        await prepare(found)
        yield found


async def test_the_journals_fill_a_new_cluster_and_figures_stay_equal(rapport: Rapport) -> None:
    kafka = rapport.platform.stack.kafka
    person = await register(rapport)
    await consent(rapport, person, "email")
    address = f"{new_key()}@example.org"
    await subscribe(rapport, "engagement.contact.logged", "email", address, person)
    await log_contact(rapport, [person])
    wave = (await open_wave(rapport))["id"]
    await import_responses(rapport, wave, [answer(n) for n in range(RESPONSES)])
    await counted(rapport, wave, RESPONSES)
    await promise_broken(rapport, participants=[person])
    await rapport.settled()
    before = await state(rapport, wave)
    on_topics = await rapport.told()
    old = kafka.cluster_id

    kafka.lose()  # the platform brings it back, with nothing in it

    async def another_cluster() -> bool:
        try:
            return kafka.cluster_id != old
        except OSError:
            return False

    await until(another_cluster, seconds=60, what="there is a new cluster")
    # While the journals are at it, life goes on.
    late = await submit(rapport, wave, answer(0, stakeholder_id=person))

    async def refilled() -> bool:
        told = await rapport.told()
        return all(told[place][: len(there)] == there for place, there in on_topics.items())

    await until(refilled, seconds=60, what="the same numbers are on the topics again")
    await counted(rapport, wave, RESPONSES + 1)
    await rapport.all_ready()
    await rapport.settled()
    for place, told in (await rapport.told(TOPICS)).items():
        assert [number for number, _ in told] == list(range(1, len(told) + 1)), place

    explanation = await explained(rapport, wave)
    assert explanation["agrees"]
    assert sorted(explanation["events"]) == sorted([*before["events"], late])
    after = await state(rapport, wave)
    assert after["others"] == before["others"]
    assert after["mails"] == before["mails"]
    more = await open_wave(rapport)
    await import_responses(rapport, more["id"], [answer(n) for n in range(RESPONSES)])
    assert (await counted(rapport, more["id"], RESPONSES))["share"] == 0.4


async def state(rapport: Rapport, wave: str) -> dict[str, Any]:
    """What must not move: who is registered, what was promised and told; and what a wave was counted from."""
    kept = {
        f"{service}/{collection}": await rapport.mongo[service][collection].find().sort("_id").to_list()
        for service, collection in (
            ("registry", "stakeholders"),
            ("engagement", "exercises"),
            ("engagement", "contacts"),
            ("engagement", "receipts"),
            ("engagement", "stakeholders"),
            ("measures", "stakeholders"),
            ("measures", "populations"),
            ("notifications", "consents"),
            ("notifications", "messages"),
        )
    }
    with rapport.mailbox() as mailbox:
        mails = mailbox.messages(turned_away=True)
    return {"events": (await explained(rapport, wave))["events"], "others": kept, "mails": mails}
