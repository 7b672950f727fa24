"""kill -9 of workers, relays and APIs under load, again and again: what was acknowledged is counted, and counted once."""

import asyncio
import json
import os
import random
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field

import httpx
import pytest
from rapport_cli.running.process import KeptProcess

from tests.integration.acts import QUESTION, answer, counted, explained, open_wave
from tests.integration.rapport import Rapport, until

ROUNDS = 4
STREAMS, ROWS = 2, 300
SINGLES = 40
AT_ONCE = 8
LOAD = STREAMS * ROWS + SINGLES
"""Responses in one round."""
PATIENCE = 90.0
"""Seconds until something that was killed must have answered again."""
ACKNOWLEDGED = {"accepted", "duplicate"}


@dataclass
class Ledger:
    """What the outside world was promised: the event of every response that was acknowledged, by who sent it."""

    events: dict[str, str] = field(default_factory=dict)
    yes: int = 0

    def note(self, sender: str, event: str, number: int) -> None:
        """A response that is sent again must be answered as the same one."""
        if sender not in self.events:
            self.yes += answer(number)["answers"][QUESTION] == "yes"
        assert self.events.setdefault(sender, event) == event, f"{sender} was acknowledged as two"


@pytest.mark.parametrize("seed", [20_260_514])
async def test_every_acknowledged_response_is_counted_exactly_once(rapport: Rapport, seed: int) -> None:
    dice = random.Random(seed)
    wave = (await open_wave(rapport))["id"]
    ledger = Ledger()
    killed: list[str] = []
    for turn in range(ROUNDS):
        mark, before = len(ledger.events) + dice.randrange(LOAD * 2 // 3), await folded(rapport, wave)
        load = asyncio.create_task(send(rapport, wave, ledger, turn))

        async def flows(mark: int = mark, before: int = before) -> bool:
            return len(ledger.events) >= mark and await folded(rapport, wave) > before

        await until(flows, seconds=PATIENCE, what=f"seed {seed}, round {turn}: {mark} acknowledged, and some counted")
        victims = [process.name for process in chosen(rapport, dice)]
        for name in victims:
            kill(rapport.process(name))
        killed += victims
        await load
        await rapport.all_ready(seconds=PATIENCE)
    await rapport.settled(seconds=PATIENCE)

    story = f"seed {seed}, killed {killed}"
    assert len(ledger.events) == len(set(ledger.events.values())) == ROUNDS * LOAD, story
    figure = await counted(rapport, wave, len(ledger.events))
    assert (figure["responses"], figure["base"]) == (len(ledger.events), len(ledger.events)), story
    assert figure["share"] == ledger.yes / len(ledger.events), story
    explanation = await explained(rapport, wave)
    assert explanation["agrees"], story
    assert sorted(explanation["events"]) == sorted(ledger.events.values()), story
    kept = await rapport.get("feedback", f"/waves/{wave}/responses/count")
    assert kept["responses"] == len(ledger.events), story
    for place, told in (await rapport.told(["feedback.response", "measures.measure"])).items():
        assert [number for number, _ in told] == list(range(1, len(told) + 1)), f"{place}, {story}"
        assert len({id_ for _, id_ in told}) == len(told), f"{place}, {story}"


async def folded(rapport: Rapport, wave: str) -> int:
    """How many responses of the wave are counted by now."""
    intake = await rapport.mongo["measures"]["intakes"].find_one({"_id": f"{wave}/synthetic"})
    return intake["responses"] if intake else 0


def chosen(rapport: Rapport, dice: random.Random) -> Iterable[KeptProcess]:
    """Always the sender's and the counter's workers, and of all others those that are unlucky."""
    for process in rapport.platform.kept:
        certain = process.name in {"feedback-worker", "measures-worker"}
        if certain or dice.random() < 0.4:
            yield process


def kill(process: KeptProcess) -> None:
    """As if it were the first time: what dies again and again is started later each time, and this test has no hour."""
    process.deaths = 0
    os.kill(process.pid, signal.SIGKILL)


async def send(rapport: Rapport, wave: str, ledger: Ledger, turn: int) -> None:
    """One round of load: streams and single responses side by side, each until all of it is acknowledged."""
    hands = asyncio.Semaphore(AT_ONCE)

    async def single(number: int) -> None:
        sender = f"single-{turn}-{number}-{wave}"

        async def acknowledged() -> bool:
            return await submitted(rapport, wave, ledger, sender, number)

        async with hands:
            await until(acknowledged, seconds=PATIENCE, what=f"{sender} is acknowledged")

    async def stream(place: int) -> None:
        rows = {f"stream-{turn}-{place}-{number}": number for number in range(ROWS)}

        async def acknowledged() -> bool:
            await imported(rapport, wave, ledger, rows)
            return rows.keys() <= ledger.events.keys()

        await until(acknowledged, seconds=PATIENCE, what=f"stream {turn}-{place} is acknowledged")

    await asyncio.gather(*(stream(place) for place in range(STREAMS)), *(single(number) for number in range(SINGLES)))


async def submitted(rapport: Rapport, wave: str, ledger: Ledger, sender: str, number: int) -> bool:
    """One attempt of a response that nothing but its Idempotency-Key tells from others."""
    try:
        answered = await rapport.http("feedback").post(
            f"/waves/{wave}/responses", json=answer(number), headers={"Idempotency-Key": sender}
        )
    except httpx.TransportError:
        return False
    if answered.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return False
    assert answered.status_code == httpx.codes.CREATED, answered.text
    ledger.note(sender, answered.json()["event"], number)
    return True


async def imported(rapport: Rapport, wave: str, ledger: Ledger, rows: dict[str, int]) -> None:
    """One attempt of a stream; every line that comes back counts, also where the rest does not."""
    senders = list(rows)
    content = "".join(json.dumps({"reference": sender, **answer(rows[sender])}) + "\n" for sender in senders)
    request = rapport.http("feedback").stream(
        "POST",
        f"/waves/{wave}/responses/import",
        content=content,
        headers={"Content-Type": "application/x-ndjson"},
    )
    try:
        async with request as answered:
            if answered.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                return
            assert answered.status_code == httpx.codes.OK, await answered.aread()
            async for line in answered.aiter_lines():
                note(ledger, senders, rows, line)
    except httpx.TransportError:
        return


def note(ledger: Ledger, senders: list[str], rows: dict[str, int], line: str) -> None:
    try:
        found = json.loads(line)
    except ValueError:
        return  # the last line of a connection that broke
    if found["status"] in ACKNOWLEDGED:
        sender = senders[found["line"] - 1]
        ledger.note(sender, found["event"], rows[sender])
    else:
        assert found["problem"]["type"] == "urn:rapport:problem:unavailable", found
