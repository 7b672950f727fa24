"""Responses: checked against the instrument, counted once, and leading nowhere when anonymous."""

import re
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from feedback.domain.response import (
    DayOutsideField,
    ReferenceReused,
    ResponseInvalid,
    StakeholderErased,
    response_id,
    response_id_of,
)
from feedback.usecases.import_responses import Fate, ImportResponses, Row, import_responses
from feedback.usecases.withdraw_responses import withdraw_responses
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from pydantic import ValidationError
from rapport_chassis.keyring import MemoryKeyring
from rapport_events import registry

STAKEHOLDER = "01900000-0000-7000-8000-0000000000aa"
OTHER = "01900000-0000-7000-8000-0000000000bb"
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.fixture
def import_(memory, wave):
    """Import rows as one chunk; the fates."""

    async def run(*rows):
        made = tuple(Row.model_validate({"answers": {"heard": "yes"}} | row) for row in rows)
        return await memory.run(import_responses, ImportResponses(wave_id=wave.id, rows=made))

    return run


def fates(imported):
    return [one.fate for one in imported]


async def test_a_response_tells_codes(memory, submit):
    response = await submit(groups=["bame"], region="north", weight=1.2345, comment="In my own words.")
    event = memory.events[-1]
    assert event.response_id == response.id
    assert event.answers == {"heard": "yes"}
    assert (event.groups, event.region, event.weight, event.day) == (("bame",), "north", 12_345, date(2026, 1, 5))
    assert event.stakeholder_id is None
    assert event.comment.subject == response.id
    assert response.event_id == memory.journal[-1]["_id"]


async def test_an_anonymous_response_keeps_the_day_only(memory, wave, submit):
    memory.now = datetime(2026, 1, 5, 13, 47, 11, 123456, tzinfo=UTC)
    response = await submit(comment="In my own words.", reference="row-1")
    kept = [memory.documents.collections["responses"][response.id], memory.journal[-1]]
    text = repr(kept).replace(wave.id, "")
    assert "13:47" not in text
    assert "own words" not in text
    assert "row-1" not in text
    assert not UUID7.search(text)
    assert uuid.UUID(response.id).version == 8


@pytest.mark.parametrize("name", [None, STAKEHOLDER])
async def test_only_who_gave_a_name_can_be_traced(memory, submit, name):
    request = SpanContext(
        0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, is_remote=False, trace_flags=TraceFlags(1)
    )
    with use_span(NonRecordingSpan(request)):
        await submit(stakeholder_id=name)
    envelope = memory.journal[-1]["envelope"]
    assert ("traceparent" in envelope) == (name is not None)
    assert ("0af7651916cd43dd" in repr(envelope)) == (name is not None)


async def test_a_named_response_is_told_by_the_day_too(memory, submit):
    memory.now = datetime(2026, 1, 5, 13, 47, tzinfo=UTC)
    await submit(stakeholder_id=STAKEHOLDER)
    assert memory.journal[-1]["envelope"]["time"] == "2026-01-05T00:00:00Z"
    assert memory.events[-1].stakeholder_id == STAKEHOLDER


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"answers": {"unheard": "yes"}}, "not asked"),
        ({"answers": {"heard": "maybe"}}, "heard: not one of its answers"),
        ({"groups": ["old"]}, "groups"),
        ({"groups": ["bame", "bame"]}, "twice"),
        ({"region": "west"}, "region"),
    ],
)
async def test_what_the_instrument_does_not_know(submit, changed, fault):
    with pytest.raises(ResponseInvalid, match=fault) as raised:
        await submit(**changed)
    assert "maybe" not in str(raised.value)


async def test_everything_wrong_is_told_at_once(submit):
    with pytest.raises(ResponseInvalid, match=r"heard.*groups.*region"):
        await submit(answers={"heard": "maybe"}, groups=["old"], region="west")


@pytest.mark.parametrize("weight", [0, 0.00005, 20.0001, 1.00001, -1, True, "x", float("nan"), float("inf")])
async def test_a_weight_that_is_none(submit, weight):
    with pytest.raises(ValidationError):
        await submit(weight=weight)


@pytest.mark.parametrize(
    ("weight", "kept"), [(0.0001, 1), (20, 200_000), (0.1, 1_000), ("1.2", 12_000), (2.3457, 23_457)]
)
async def test_weights_are_exact(submit, weight, kept):
    assert (await submit(weight=weight)).weight == kept


async def test_weights_belong_to_weighted_instruments(publish, open_, memory, submit, heard):
    await publish(version=2, weighted=False)
    wave = await open_(ordinal=1, instrument_version=2)
    row = Row(answers={"heard": "yes"}, reference="a", weight=Decimal(1))
    (imported,) = await memory.run(import_responses, ImportResponses(wave_id=wave.id, rows=(row,)))
    assert isinstance(imported.error, ResponseInvalid)


@pytest.mark.parametrize("day", ["2025-12-31", "2026-01-06", "2026-02-01"])
async def test_a_day_that_cannot_be(submit, day):
    with pytest.raises(DayOutsideField):
        await submit(day=day)


async def test_the_day_may_be_said(memory, submit):
    assert (await submit(day="2026-01-02")).day == date(2026, 1, 2)
    memory.now = datetime(2026, 2, 3, tzinfo=UTC)
    assert (await submit()).day == date(2026, 2, 3), "the wave is open, whatever was planned"


@pytest.mark.parametrize(
    "changed",
    [
        {"answers": {}},
        {"answers": {"heard": 1}},
        {"answers": {"$ne": "yes"}},
        {"ip": "192.0.2.1"},
        {"comment": ""},
        {"comment": "x" * 4001},
    ],
)
async def test_what_is_no_response(submit, changed):
    with pytest.raises(ValidationError):
        await submit(**changed)


async def test_a_thousand_times_under_one_reference_is_one_response(memory, submit):
    responses = [await submit(reference="row-1") for _ in range(1_000)]
    assert len({response.id for response in responses}) == 1
    assert len(memory.documents.collections["responses"]) == 1
    assert len(memory.journal) == 3


async def test_a_reference_stands_for_one_response(memory, submit):
    first = await submit(reference="row-1", comment="Mine.")
    assert (await submit(reference="row-1", day="2026-01-02")).id == first.id
    with pytest.raises(ReferenceReused):
        await submit(reference="row-1", answers={"heard": "no"})


async def test_without_a_reference_two_are_two(submit):
    assert (await submit()).id != (await submit()).id


async def test_rows_are_answered_each_for_itself(memory, import_):
    imported = await import_(
        {"reference": "1"},
        {"reference": "2", "answers": {"heard": "maybe"}},
        {"reference": "1"},
        {"reference": "1", "answers": {"heard": "no"}},
        {"reference": "3", "region": "south"},
    )
    assert fates(imported) == [Fate.ACCEPTED, Fate.REJECTED, Fate.DUPLICATE, Fate.REJECTED, Fate.ACCEPTED]
    assert isinstance(imported[3].error, ReferenceReused)
    again = await import_({"reference": "3", "region": "south"}, {"reference": "4"})
    assert fates(again) == [Fate.DUPLICATE, Fate.ACCEPTED]
    assert again[0].response.event_id == imported[4].response.event_id
    assert len(memory.documents.collections["responses"]) == 3


async def test_a_reference_is_of_its_wave(memory, import_, open_):
    (first,) = await import_({"reference": "1"})
    other = await open_(ordinal=1)
    row = Row(answers={"heard": "yes"}, reference="1")
    (second,) = await memory.run(import_responses, ImportResponses(wave_id=other.id, rows=(row,)))
    assert second.fate is Fate.ACCEPTED
    assert first.response.id != second.response.id


async def test_an_erasure_leaves_answers_that_lead_to_nobody(memory, submit, import_):
    named = await submit(stakeholder_id=STAKEHOLDER, comment="In my own words.")
    await import_({"reference": "1", "stakeholder_id": STAKEHOLDER}, {"reference": "2", "stakeholder_id": STAKEHOLDER})
    other = await submit(stakeholder_id=OTHER, comment="Another's words.")
    erased = registry.StakeholderErased(stakeholder_id=STAKEHOLDER, erased_on=date(2026, 1, 6))
    await memory.consume(erased, withdraw_responses)
    await memory.consume(erased, withdraw_responses)
    kept = memory.documents.collections["responses"]
    assert STAKEHOLDER not in repr(kept)
    assert kept[named.id]["answers"] == {"heard": "yes"}
    assert kept[named.id]["comment"] == "erased"
    assert kept[named.id]["subject"] == named.id
    assert (await memory.unit().responses.get(other.id)).comment == "Another's words."
    assert len(kept) == 4


async def test_whoever_was_erased_answers_no_more(memory, submit, import_):
    await memory.consume(
        registry.StakeholderErased(stakeholder_id=STAKEHOLDER, erased_on=date(2026, 1, 6)), withdraw_responses
    )
    with pytest.raises(StakeholderErased):
        await submit(stakeholder_id=STAKEHOLDER)
    imported = await import_({"reference": "1", "stakeholder_id": STAKEHOLDER}, {"reference": "2"})
    assert fates(imported) == [Fate.REJECTED, Fate.ACCEPTED]


async def test_a_response_under_way_cannot_miss_the_erasure(memory, wave, submit):
    await submit(stakeholder_id=STAKEHOLDER)
    unit = memory.unit()
    row = Row(answers={"heard": "yes"}, reference="1", stakeholder_id=STAKEHOLDER)
    await import_responses(ImportResponses(wave_id=wave.id, rows=(row,)), unit)
    await memory.consume(
        registry.StakeholderErased(stakeholder_id=STAKEHOLDER, erased_on=date(2026, 1, 6)), withdraw_responses
    )
    with pytest.raises(Exception, match="changed by another"):
        await memory.commit(unit)


@given(st.binary(min_size=16, max_size=16))
def test_ids_are_uuids_of_version_8(secret):
    made = uuid.UUID(response_id(secret))
    assert (made.version, made.variant) == (8, uuid.RFC_4122)


@given(st.text(), st.text())
def test_a_reference_has_one_id_under_one_key(one, other):
    keyring, another = MemoryKeyring(), MemoryKeyring()
    assert (response_id_of(keyring.blind(one)) == response_id_of(keyring.blind(other))) == (one == other)
    assert response_id_of(keyring.blind(one)) != response_id_of(another.blind(one))
