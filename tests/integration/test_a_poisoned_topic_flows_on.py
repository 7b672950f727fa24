"""A record that nobody can read is put aside where an operator sees it; its neighbours flow."""

from typing import Any

from tests.integration.acts import answer, counted, import_responses, open_wave
from tests.integration.rapport import Rapport, until

TOPIC = "feedback.response"
POISON: tuple[tuple[bytes | None, list[tuple[str, bytes]]], ...] = (
    (b"not json", []),
    (None, []),
    (b"{}", [("ce_id", b"\xff\xfe")]),
    (b"{}", [("ce_sequence", b"-1"), ("ce_type", b"feedback.response.received.v1")]),
)


async def test_poison_is_listed_and_its_neighbours_flow(rapport: Rapport) -> None:
    wave = (await open_wave(rapport))["id"]
    await import_responses(rapport, wave, [answer(n) for n in range(40)])
    known = {letter["_id"] for letter in await letters(rapport)}
    for value, headers in POISON:
        await rapport.put(TOPIC, 0, value, headers)
    await import_responses(rapport, wave, [answer(n) for n in range(40)])
    figure = await counted(rapport, wave, 80)
    assert figure["base"] == 80

    async def buried() -> list[dict[str, Any]]:
        found = [letter for letter in await letters(rapport) if letter["_id"] not in known]
        return found if len(found) >= len(POISON) else []

    found = await until(buried, what="the letters are listed")
    assert {(letter["topic"], letter["partition"]) for letter in found} == {(TOPIC, 0)}
    assert {(letter["state"], letter["reason"]) for letter in found} == {("dead", "unreadable")}
    assert len(found) == len(POISON)
    shown = await rapport.get("measures", f"/operations/dead-letters/{found[0]['_id']}")
    assert set(shown["raw"]) == {"key", "value", "headers"}

    # Each of them was put aside once, and nothing waits for it.
    await rapport.settled()
    worker = rapport.process("measures-worker")
    assert worker.ready, worker.said


async def letters(rapport: Rapport) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await rapport.get("measures", "/operations/dead-letters", limit=1000)
    return found
