"""Whatever dies, lies or comes late: every event is in the log under one number, and takes effect once, in order.

See `simulation` for what may happen. Each example is one world; a failing one prints its seed, which lives it again.
"""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rapport_chassis import journal
from rapport_chassis.memory import Memory

from libs.chassis.tests.path.simulation import TOPIC, survives
from libs.chassis.tests.things import DAY, Things, count_up

WORLDS = 1_000
seeds = st.integers(0, 2**63)
many = settings(
    max_examples=WORLDS,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.mark.usefixtures("quiet")
@many
@given(seed=seeds)
def test_every_event_is_in_the_log_in_the_order_of_its_number_and_takes_effect_once(seed: int) -> None:
    asyncio.run(survives(seed, lossy=False))


@pytest.mark.usefixtures("quiet")
@many
@given(seed=seeds)
def test_so_it_is_when_the_brokers_lose_what_they_acknowledged(seed: int) -> None:
    asyncio.run(survives(seed, lossy=True))


@pytest.mark.usefixtures("quiet")
def test_much_happens_in_a_world() -> None:
    """A world in which nothing happens would prove nothing."""
    worlds = [asyncio.run(survives(seed, lossy=True)) for seed in range(50)]
    for what, count in {
        "killed": sum(world.chaos.killed for world in worlds),
        "frozen": sum(world.chaos.zombies for world in worlds),
        "answers lost": sum(world.chaos.lost for world in worlds),
        "logs lost": sum(world.log.topic - 1 for world in worlds),
        "events": sum(len(world.journal.stored) for world in worlds),
        "sent again": sum(len(world.log.ever) - len(world.journal.stored) for world in worlds),
    }.items():
        print(f"{what}: {count / len(worlds):.1f} a world")  # noqa: T201 - seen with -s
        assert count >= len(worlds) / 2, what


def test_positions_of_an_aggregate_never_run_backwards() -> None:
    async def positions() -> list[int]:
        memory = Memory(Things, now=DAY)
        for hours in (0, -1, 2, -5):
            memory.now = DAY + timedelta(hours=hours)
            await memory.run(count_up, "one")
        return [entry["pos"] for entry in memory.journal]

    found = asyncio.run(positions())
    assert found == sorted(set(found))
    assert journal.partition_of(TOPIC, "one") == journal.partition_of(TOPIC, "one")
