"""A process that is asked to end, ends: whatever its tasks are in the midst of."""

import asyncio

import pytest
from rapport_chassis.ending import end

from libs.chassis.tests.path.simulation import World


@pytest.mark.parametrize("turns", range(8))
async def test_a_relay_ends_though_its_bell_rings_just_then(turns: int) -> None:
    world = World(1)
    world.chaos.calm = True
    relay = world.relaying()
    relay.poll = 60.0
    running = asyncio.create_task(relay.run())
    for _ in range(100):  # until it is idle
        await asyncio.sleep(0)
    relay.bell.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    done, _ = await asyncio.wait({running}, timeout=5)
    assert done, "it forgot that it was to end"
    assert running.cancelled()


async def test_whoever_forgets_that_it_was_cancelled_is_cancelled_again() -> None:
    forgotten = 0

    async def forgetful() -> None:
        nonlocal forgotten
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if forgotten == 2:
                    raise
                forgotten += 1

    task = asyncio.create_task(forgetful())
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await end([task])
    assert task.cancelled()


async def test_one_that_failed_does_not_keep_the_others_from_ending() -> None:
    async def fails() -> None:
        raise ValueError

    failed, runs = asyncio.create_task(fails()), asyncio.create_task(asyncio.Event().wait())
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await end([failed, runs])
    assert runs.cancelled()
