"""What an operator does with the command line: mend a poison event and replay it, and send a journal again."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.integration.acts import MEASURE, answer, counted, explained, figure, import_responses, open_wave, tell
from tests.integration.command import command
from tests.integration.rapport import Rapport, new_key, until

TOPIC = "feedback.response"
OF_A_GROUP = "PPT-1b"
"""The measure that reads the same question for one group alone."""


async def test_a_poison_event_is_mended_and_replayed_in_order(rapport: Rapport, tmp_path: Path) -> None:
    wave = (await open_wave(rapport))["id"]
    made = await import_responses(rapport, wave, [answer(n) for n in range(40)])
    await counted(rapport, wave, 40)
    person = new_key()
    poison, after = await tell(rapport, made[0]["event"], person, {"weight": 0}, {"weight": 10_000})

    async def aside() -> list[dict[str, Any]]:
        said = await command(rapport, "dlq", "list", "--service", "measures", "--json")
        found = [letter for letter in json.loads(said.text) if letter["key"] == person]
        return found if len(found) == 2 else []

    dead, parked = await until(aside, what="both are put aside")
    assert (dead["state"], dead["reason"], dead["holds"]) == ("dead", "invalid-data", 1)
    assert "weight" in dead["detail"]
    assert (parked["state"], parked["behind"]) == ("parked", dead["_id"])
    shown = json.loads((await command(rapport, "dlq", "show", dead["_id"])).text)
    assert shown["envelope"]["id"] == poison
    assert shown["parked_behind"] == [parked["_id"]]
    status = json.loads((await command(rapport, "status", "--json")).text)
    lacking = [each["words"] for each in status["lacking"] if (each["measure"], each["events"]) == (MEASURE, 2)]
    assert len(lacking) == 1, status["lacking"]
    assert lacking[0].startswith(f"{MEASURE} lacks 2 responses: ")
    assert f"parked behind {dead['_id']}" in lacking[0]
    assert MEASURE in (await command(rapport, "status")).text

    # As it is it fails again, and stays, with what waits behind it.
    said = await command(rapport, "dlq", "replay", "--all", "--service", "measures")
    assert said.code == 1
    assert "failed again" in said.text
    assert len(await aside()) == 2
    data = json.loads((await command(rapport, "dlq", "show", dead["_id"], "--data")).text)
    mended = tmp_path / "mended.json"
    mended.write_text(json.dumps({**data, "weight": -1}))
    said = await command(rapport, "dlq", "replay", dead["_id"], "--with", str(mended))
    assert (said.code, "422" in said.errors) == (1, True), "what does not fit either is not taken"
    mended.write_text(json.dumps({**data, "weight": 10_000}))
    said = await command(rapport, "dlq", "replay", dead["_id"], "--with", str(mended))
    assert said.code == 0, said.text + said.errors
    assert "2 applied" in said.text

    assert (await counted(rapport, wave, 42))["base"] == 42
    explanation = await explained(rapport, wave)
    assert explanation["agrees"]
    assert explanation["events"][-2:] == [poison, after], "in their order"
    told = json.loads((await command(rapport, "dlq", "history", "--service", "measures", "--json")).text)
    entries = [each for each in told if each["key"] == person]
    assert [each["outcome"] for each in reversed(entries)] == ["failed again", "applied", "applied"]
    first = entries[1]
    assert first["asked"]["by"] == "rapport-command-line"
    assert first["asked"]["at"] < first["at"]
    assert first["asked"]["mended"]["before"]["weight"] == 0
    assert first["asked"]["mended"]["after"]["weight"] == 10_000


async def test_status_names_the_figures_that_what_is_on_its_way_will_change(rapport: Rapport) -> None:
    wave = (await open_wave(rapport))["id"]
    await import_responses(rapport, wave, [answer(n) for n in range(40)])
    await counted(rapport, wave, 40)
    await rapport.settled()
    unheard = {"letter": None, "reason": "sent by feedback, not applied yet", "events": 12}
    unsent = {"letter": None, "reason": "not sent yet by feedback", "events": 5}

    async def lacks(measure: str) -> list[dict[str, Any]]:
        """What a measure lacks in this wave, the most frequent cause first."""
        status = json.loads((await command(rapport, "status", "--json")).text)
        mine = [each for each in status["lacking"] if (each["measure"], each["wave_id"]) == (measure, wave)]
        return [cause for each in mine for cause in each["because"]]

    async def on_the_topic() -> bool:
        return (await lacks(MEASURE)) == [unheard]

    with standing_still(rapport, "measures-worker"):
        await import_responses(rapport, wave, [answer(n, groups=["bame"]) for n in range(12)])
        await until(on_the_topic, what="they are sent, and nobody applies them", seconds=60)
        with standing_still(rapport, "feedback-worker"):
            await import_responses(rapport, wave, [answer(n) for n in range(5)])
            assert await lacks(MEASURE) == [unheard, unsent]
            assert await lacks(OF_A_GROUP) == [unheard], "the others are of no group"
            text = " ".join((await command(rapport, "status")).text.split())
            assert f"{MEASURE} lacks 17 responses: 12 {unheard['reason']}, 5 {unsent['reason']}" in text

    await counted(rapport, wave, 57)
    await rapport.settled()
    assert await lacks(MEASURE) == []


async def test_a_journal_sent_again_from_a_number_moves_no_figure(rapport: Rapport) -> None:
    wave = (await open_wave(rapport))["id"]
    await import_responses(rapport, wave, [answer(n) for n in range(60)])
    await counted(rapport, wave, 60)
    await rapport.settled()
    before = await figure(rapport, wave)
    heads = {place: head for place, head in (await rapport.heads()).items() if place[0] == TOPIC}
    (topic, partition), head = max(heads.items(), key=lambda each: each[1])
    ends = await rapport.ends([TOPIC])
    first = head - 3

    said = await command(rapport, "republish", TOPIC, "--partition", str(partition), "--from", str(first))
    assert said.code == 0, said.errors

    async def heard_again() -> bool:
        end = (await rapport.ends([TOPIC]))[topic, partition]
        cursor = (await rapport.cursors("measures"))[topic, partition]
        return end >= ends[topic, partition] + 4 and cursor["offset"] >= end

    await until(heard_again, what="it is on the topic again, and was read")
    assert (await rapport.cursors("measures"))[topic, partition]["number"] == head
    now = await rapport.ends([TOPIC])
    assert {place for place in now if now[place] != ends[place]} == {(topic, partition)}
    assert await figure(rapport, wave) == before
    assert (await explained(rapport, wave))["agrees"]


@contextmanager
def standing_still(rapport: Rapport, name: str) -> Iterator[None]:
    """A process that is there and does nothing meanwhile."""
    pid = rapport.process(name).pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
