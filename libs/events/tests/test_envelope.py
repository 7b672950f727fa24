import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rapport_events.envelope import Envelope, EnvelopeError, kafka_record, sequence_text
from rapport_events.event import Sealed
from rapport_events.feedback import ResponseReceived

EVENT = ResponseReceived(
    response_id="r-1",
    wave_id="w-1",
    instrument_code="PPT",
    answers={"heard": "yes"},
    day=date(2020, 2, 11),
    synthetic=True,
)
ENVELOPE = replace(
    Envelope.of(
        EVENT,
        id="e-1",
        source="/rapport/feedback",
        time=datetime(2020, 2, 11, 9, 30, tzinfo=UTC),
        correlationid="c-1",
        causationid="e-0",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        tracestate="vendor=1",
    ),
    sequence=7,
)
KEY, VALUE, HEADERS = ENVELOPE.to_kafka()
NAMES = tuple(name for name, _ in HEADERS)


def test_record_is_keyed_by_the_aggregate_and_described_by_its_headers() -> None:
    assert KEY == b"r-1"
    assert dict(HEADERS) == {
        "content-type": b"application/json",
        "ce_specversion": b"1.0",
        "ce_id": b"e-1",
        "ce_source": b"/rapport/feedback",
        "ce_type": b"feedback.response.received.v1",
        "ce_time": b"2020-02-11T09:30:00Z",
        "ce_subject": b"r-1",
        "ce_dataschema": b"urn:rapport:event:feedback.response.received.v1",
        "ce_partitionkey": b"r-1",
        "ce_correlationid": b"c-1",
        "ce_causationid": b"e-0",
        "ce_sequence": b"00000000000000000007",
        "traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": b"vendor=1",
    }


@pytest.mark.parametrize("envelope", [ENVELOPE, replace(ENVELOPE, causationid=None, traceparent=None, tracestate=None)])
def test_the_short_way_from_the_journal_makes_the_same_record(envelope: Envelope) -> None:
    key, value, headers = replace(envelope, sequence=12).to_kafka()
    made = kafka_record(replace(envelope, sequence=None).structured(), 12)
    assert (made[0], made[1], dict(made[2])) == (key, value, dict(headers))
    assert len(made[2]) == len(headers)
    assert made[3] == int(envelope.time.timestamp() * 1000)


def test_data_leave_out_what_is_absent() -> None:
    assert ENVELOPE.data == {
        "response_id": "r-1",
        "wave_id": "w-1",
        "instrument_code": "PPT",
        "answers": {"heard": "yes"},
        "groups": [],
        "weight": 10_000,
        "day": "2020-02-11",
        "synthetic": True,
    }


def test_time_is_kept_in_utc() -> None:
    summer = timezone(timedelta(hours=1))
    made = Envelope.of(EVENT, id="e", source="/s", correlationid="c", time=datetime(2020, 7, 1, 12, tzinfo=summer))
    assert made.time == datetime(2020, 7, 1, 11, tzinfo=UTC)
    assert made.structured()["time"] == "2020-07-01T11:00:00Z"


def test_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Envelope.of(EVENT, id="e", source="/s", correlationid="c", time=datetime(2020, 7, 1))  # noqa: DTZ001 - on purpose


def test_unsealed_event_gets_no_envelope() -> None:
    event = EVENT.model_copy(update={"comment": Sealed.of("r-1", "own words")})
    with pytest.raises(ValueError, match="not sealed yet"):
        Envelope.of(event, id="e", source="/s", correlationid="c", time=datetime.now(UTC))


@given(st.integers(1, 10**19), st.integers(1, 10**19))
def test_sequence_sorts_as_text_as_it_does_as_number(one: int, other: int) -> None:
    assert (sequence_text(one) < sequence_text(other)) == (one < other)


@given(st.from_type(Envelope))
def test_kafka_round_trip(envelope: Envelope) -> None:
    assert Envelope.from_kafka(*envelope.to_kafka()) == envelope


@given(st.from_type(Envelope))
def test_structured_round_trip(envelope: Envelope) -> None:
    assert Envelope.from_structured(envelope.structured()) == envelope


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
raw_headers = st.lists(
    st.tuples(
        st.sampled_from(NAMES) | st.text(),
        st.none() | st.binary() | st.sampled_from([value for _, value in HEADERS]) | st.text().map(str.encode),
    )
)


@given(st.none() | st.binary(), st.none() | st.binary() | JSON.map(json.dumps).map(str.encode), raw_headers)
def test_reading_any_record_gives_an_envelope_or_an_envelope_error(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    with suppress(EnvelopeError):
        Envelope.from_kafka(key, value, headers)


@given(st.sampled_from(NAMES), st.none() | st.binary() | st.text().map(str.encode))
@example("ce_time", b"0001-01-01T00:00:00+23:59")
@example("ce_time", b"2020-02-30T00:00:00Z")
@example("ce_time", b"2016-12-31T23:59:60Z")
@example("ce_sequence", "\N{ARABIC-INDIC DIGIT ONE}".encode())
@example("ce_id", b"\xff")
def test_one_bad_header_gives_an_envelope_or_an_envelope_error(name: str, value: bytes | None) -> None:
    headers = [(other, value if other == name else kept) for other, kept in HEADERS]
    try:
        read = Envelope.from_kafka(KEY, VALUE, headers)
    except EnvelopeError:
        pass
    else:
        assert Envelope.from_kafka(*read.to_kafka()) == read


@given(st.binary() | st.text().map(str.encode))
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'{"a": NaN}')
@example(b'{"a": 1e999}')
@example(b'{"a": ' + b"9" * 10_000 + b"}")
@example(b'{"a": "\\ud800"}')
def test_bad_value_gives_an_envelope_or_an_envelope_error(value: bytes) -> None:
    try:
        read = Envelope.from_kafka(KEY, value, HEADERS)
    except EnvelopeError:
        pass
    else:
        Envelope.from_kafka(*read.to_kafka())  # what was read can be written again


@given(st.dictionaries(st.sampled_from(tuple(ENVELOPE.structured())) | st.text(), JSON))
def test_reading_any_document_gives_an_envelope_or_an_envelope_error(change: dict[str, Any]) -> None:
    for document in (change, ENVELOPE.structured() | change):
        with suppress(EnvelopeError):
            Envelope.from_structured(document)


def without(name: str) -> list[tuple[str, bytes]]:
    return [header for header in HEADERS if header[0] != name]


@pytest.mark.parametrize("name", [*NAMES[:10], "content-type"])
def test_missing_attribute_is_named(name: str) -> None:
    reason = {"content-type": "content type", "ce_partitionkey": "partition key"}.get(name, name.removeprefix("ce_"))
    with pytest.raises(EnvelopeError, match=reason):
        Envelope.from_kafka(KEY, VALUE, without(name))


def test_tombstone_is_refused() -> None:
    with pytest.raises(EnvelopeError, match="not JSON"):
        Envelope.from_kafka(KEY, None, HEADERS)


def test_value_that_is_no_object_is_refused() -> None:
    with pytest.raises(EnvelopeError, match="not a JSON object"):
        Envelope.from_kafka(KEY, b"[]", HEADERS)


def test_key_must_be_the_partition_key() -> None:
    with pytest.raises(EnvelopeError, match="partition key"):
        Envelope.from_kafka(b"r-2", VALUE, HEADERS)
    with pytest.raises(EnvelopeError, match="partition key"):
        Envelope.from_kafka(None, VALUE, HEADERS)


def test_attribute_given_twice_with_two_values_is_refused() -> None:
    with pytest.raises(EnvelopeError, match="twice"):
        Envelope.from_kafka(KEY, VALUE, [*HEADERS, ("ce_id", b"e-2")])
    assert Envelope.from_kafka(KEY, VALUE, [*HEADERS, ("ce_id", b"e-1")]) == ENVELOPE


def test_other_headers_and_extensions_are_ignored() -> None:
    assert Envelope.from_kafka(KEY, VALUE, [*HEADERS, ("ce_mood", b"sunny"), ("x", b"\xff"), ("x", None)]) == ENVELOPE
    assert Envelope.from_structured(ENVELOPE.structured() | {"mood": "sunny", "count": 3}) == ENVELOPE


@pytest.mark.parametrize("broken", [b"\xff", b"", b"00-XYZ", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"])
def test_broken_trace_is_dropped_and_never_stops_an_event(broken: bytes) -> None:
    read = Envelope.from_kafka(KEY, VALUE, [*without("traceparent"), ("traceparent", broken)])
    assert read == replace(ENVELOPE, traceparent=None, tracestate=None)


def test_error_quotes_nothing_of_what_it_refuses() -> None:
    with pytest.raises(EnvelopeError) as refused:
        Envelope.from_kafka(KEY, b"own words of a person", HEADERS)
    assert "own words" not in str(refused.value)


def test_structured_attribute_of_another_kind_is_refused() -> None:
    with pytest.raises(EnvelopeError, match="sequence is not a string"):
        Envelope.from_structured(ENVELOPE.structured() | {"sequence": 7})
    with pytest.raises(EnvelopeError, match="data"):
        Envelope.from_structured(ENVELOPE.structured() | {"data": "text"})
