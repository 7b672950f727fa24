"""Streams of responses: an answer for every row, and each response once however often it is sent."""

import asyncio
import json
from datetime import date

import pytest
from feedback.domain.respondent import MOST_A_DAY
from feedback.rows import LONGEST_ROW
from rapport_events.feedback import ResponseReceived
from rapport_events.registry import StakeholderErased

STAKEHOLDER = "01900000-0000-7000-8000-0000000000aa"


def row(reference, **changed):
    return json.dumps({"reference": reference, "answers": {"heard": "yes"}} | changed) + "\n"


def statuses(answers):
    return [answer["status"] for answer in answers]


async def pieces(text, size):
    data = text.encode()
    for place in range(0, len(data), size):
        yield data[place : place + size]


async def received(feedback):
    return [event for event in await feedback.events() if isinstance(event, ResponseReceived)]


async def test_a_row_a_line_an_answer_a_row(feedback, stream, count):
    sent = row("1", weight=0.5) + "\n" + row("2", answers={"heard": "maybe"}) + "no json\n" + row("3", comment="Words.")
    answers = await stream(sent)
    assert [answer["line"] for answer in answers] == [1, 3, 4, 5]
    assert statuses(answers) == ["accepted", "rejected", "rejected", "accepted"]
    assert all(answer["problem"]["type"] for answer in answers if answer["status"] == "rejected")
    assert "maybe" not in json.dumps(answers)
    told = {event.response_id: event for event in await received(feedback)}
    assert set(told) == {answers[0]["response_id"], answers[3]["response_id"]}
    journal = {entry["_id"] async for entry in feedback.runtime.database["journal"].find({})}
    assert {answers[0]["event"], answers[3]["event"]} <= journal
    assert told[answers[0]["response_id"]].weight == 5_000
    assert await count() == 2


async def test_csv(stream, count):
    header = "reference,answers.heard,groups,region,weight,day,comment\n"
    text = (
        header
        + '1,yes,bame;young-18-24,north,1.5,2019-02-01,"Two\nlines"\n2,maybe,,,,,\n3,no,,,,,\n1,yes,bame;young-18-24,north,1.5,,\n'
    )
    answers = await stream(text, "text/csv; charset=utf-8")
    assert [(answer["line"], answer["status"]) for answer in answers] == [
        (2, "accepted"),
        (4, "rejected"),
        (5, "accepted"),
        (6, "duplicate"),
    ]
    assert await count() == 2


async def test_duplicates_within_a_chunk_across_chunks_and_of_the_whole(feedback, stream, count):
    text = "".join(row(str(number)) for number in range(1_200)) + row("1199") + row("3") + row("3", region="north")
    first = await stream(pieces(text, 10_007))
    assert statuses(first) == ["accepted"] * 1_200 + ["duplicate", "duplicate", "rejected"]
    assert [answer["line"] for answer in first] == list(range(1, 1_204))
    again = await stream(pieces(text, 999))
    assert statuses(again) == ["duplicate"] * 1_202 + ["rejected"]
    assert [a.get("event") for a in again] == [a.get("event") for a in first]
    assert await count() == 1_200
    assert len(await received(feedback)) == 1_200


async def test_the_same_stream_twice_at_once_counts_once(feedback, stream, count):
    text = "".join(row(str(number)) for number in range(700))
    one, other = await asyncio.gather(stream(text), stream(text))
    for mine, theirs in zip(one, other, strict=True):
        assert sorted([mine["status"], theirs["status"]]) == ["accepted", "duplicate"]
        assert mine["response_id"] == theirs["response_id"]
    assert await count() == len(await received(feedback)) == 700


async def test_a_line_too_long_costs_that_line_only(stream):
    answers = await stream(pieces(row("1") + "x" * (LONGEST_ROW + 1) + "\n" + row("2"), 10_000))
    assert statuses(answers) == ["accepted", "rejected", "accepted"]


async def test_a_stream_longer_than_a_body_may_be(stream, count):
    padding = " " * 3_000
    answers = await stream(pieces("".join(row(str(n)).rstrip("\n") + padding + "\n" for n in range(500)), 65_536))
    assert statuses(answers) == ["accepted"] * 500
    assert await count() == 500


async def test_an_empty_stream_has_no_answers(stream):
    assert await stream(b"") == []


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"reference\n", "text/csv", 422),
        (b"", "text/csv", 422),
        (b"{}", "application/json", 415),
        (b"x", "text/plain", 415),
    ],
)
async def test_what_is_no_stream(collector, wave, content, media_type, status):
    answered = await collector.post(
        f"/waves/{wave['id']}/responses/import", content=content, headers={"Content-Type": media_type}
    )
    assert (answered.status_code, answered.headers["content-type"]) == (status, "application/problem+json")


async def test_rows_of_the_erased_are_refused_and_no_others(feedback, stream, count):
    await stream(row("1", stakeholder_id=STAKEHOLDER, comment="In my own words."))
    keyring = feedback.runtime.client[feedback.runtime.settings.keyring]["keys"]
    assert await keyring.find_one({"_id": STAKEHOLDER})
    # The registry destroys the key; its event comes later.
    await keyring.replace_one({"_id": STAKEHOLDER}, {"_id": STAKEHOLDER, "key": None})
    feedback.runtime.keyring.forget(STAKEHOLDER)
    early = await stream(row("2") + row("3", stakeholder_id=STAKEHOLDER, comment="Once more.") + row("4") + row("4"))
    assert statuses(early) == ["accepted", "rejected", "accepted", "duplicate"]
    await feedback.consume(StakeholderErased(stakeholder_id=STAKEHOLDER, erased_on=date(2026, 1, 6)))
    late = await stream(row("5", stakeholder_id=STAKEHOLDER) + row("6"))
    assert statuses(late) == ["rejected", "accepted"]
    assert await count() == 4
    kept = [found async for found in feedback.runtime.database["responses"].find({})]
    assert STAKEHOLDER not in repr(kept)


async def test_a_store_that_goes_away_ends_the_stream_and_loses_nothing(feedback, stream, count):
    async def interrupted():
        yield "".join(row(str(number)) for number in range(600)).encode()
        feedback.runtime.gate.unsent = feedback.runtime.gate.limit
        yield "".join(row(str(number)) for number in range(600, 2_000)).encode()

    answers = await stream(interrupted())
    feedback.runtime.gate.unsent = 0
    accepted = statuses(answers).count("accepted")
    assert accepted == await count()
    assert accepted < 2_000
    assert answers[-1]["problem"]["type"].endswith("unavailable")
    text = "".join(row(str(number)) for number in range(2_000))
    again = await stream(text)
    assert statuses(again) == ["duplicate"] * accepted + ["accepted"] * (2_000 - accepted)


async def test_a_client_that_listens_only_after_it_has_sent_all(raw_import):
    # Rows that are refused without touching the store: it is the transport that is tried here.
    piece = b"{}\n" * 1_000
    for _ in range(60):
        await raw_import.send(piece)
    await raw_import.end()
    await raw_import.hear_all()
    assert raw_import.text.startswith(b"HTTP/1.1 200")
    assert raw_import.text.count(b'"rejected"') == 60_000


async def test_answers_come_while_rows_are_still_sent(raw_import, count):
    await raw_import.send("".join(row(str(number)) for number in range(500)).encode())
    await raw_import.send(row("last").encode())
    await raw_import.hear(500)
    assert await count() == 500
    await raw_import.end()
    await raw_import.hear_all()
    assert raw_import.text.count(b'"accepted"') == 501


async def test_a_client_that_goes_away_keeps_what_was_accepted(raw_import, stream, count):
    text = "".join(row(str(number)) for number in range(500))
    await raw_import.send(text.encode() + b'{"reference":"half')
    await raw_import.hear(500)
    raw_import.go()
    assert statuses(await stream(text)) == ["duplicate"] * 500
    assert await count() == 500


@pytest.mark.catalogue("Z13")
async def test_one_person_does_not_stuff_the_ballot_box(feedback, stream, researcher, wave):
    answers = await stream("".join(row(f"{n}", stakeholder_id=STAKEHOLDER) for n in range(MOST_A_DAY + 3)))
    assert statuses(answers) == ["accepted"] * MOST_A_DAY + ["rejected"] * 3
    assert {a["problem"]["type"] for a in answers[-3:]} == {"urn:rapport:problem:answered-too-often"}
    single = {"answers": {"heard": "yes"}, "stakeholder_id": STAKEHOLDER}
    refused = await researcher.post(
        f"/waves/{wave['id']}/responses", json=single, headers={"Idempotency-Key": "one-more"}
    )
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    again = await stream(row("0", stakeholder_id=STAKEHOLDER) + row("anonymous"))
    assert statuses(again) == ["duplicate", "accepted"], "what was taken stays taken, and nobody else is kept out"
    assert len(await received(feedback)) == MOST_A_DAY + 1


@pytest.mark.catalogue("B22")
@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x9f", "\u202e", "\u2066"])
async def test_characters_that_no_text_may_have_are_refused_in_files_too(feedback, stream, character):
    """Of a stream of either kind the row is refused, and no other."""
    header, good = "reference,answers.heard,comment\n", "2,yes,Fine.\n"
    answers = await stream(f"{header}1,yes,No{character}thing.\n{good}", "text/csv")
    assert statuses(answers) == ["rejected", "accepted"]
    assert answers[0]["problem"]["type"] == "urn:rapport:problem:row-unreadable"
    answers = await stream(row("3", comment=f"No{character}thing.") + row("4", comment="Fine."))
    assert statuses(answers) == ["rejected", "accepted"]
    assert len(await received(feedback)) == 2
