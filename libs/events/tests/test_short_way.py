"""The short way gives what the long way gives, or nothing; and relays' records can be read by it."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rapport_events import golden, short_way
from rapport_events.catalog import decode
from rapport_events.envelope import Envelope, kafka_record
from rapport_events.event import Event
from rapport_events.feedback import ResponseReceived

from libs.events.tests.test_envelope import HEADERS, JSON, KEY, NAMES, VALUE, raw_headers

EXAMPLES = sorted(golden.ROOT.glob("examples/**/*.json"))
OTHER = st.none() | st.binary() | st.text().map(str.encode)
Headers = list[tuple[str, bytes | None]]


def short(key: bytes | None, value: bytes | None, headers: Headers) -> Event | None:
    head = short_way.head(headers)  # type: ignore[arg-type] - whatever the brokers hold
    return short_way.event(head, key, value) if head is not None else None


def agree(key: bytes | None, value: bytes | None, headers: Headers) -> None:
    head = short_way.head(headers)  # type: ignore[arg-type] - as above
    if head is None:
        return
    event = short_way.event(head, key, value)
    if event is None:
        return
    envelope = Envelope.from_kafka(key, value, headers)
    assert decode(envelope) == event
    assert type(decode(envelope)) is type(event)
    assert envelope.sequence == head.number
    names = ("id", "type", "subject", "partitionkey", "correlationid")
    assert [getattr(head, name) for name in names] == [getattr(envelope, name) for name in names]
    assert envelope.traceparent in (None, head.traceparent)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_a_relay_sends_can_be_read(path: Path) -> None:
    structured = json.loads(path.read_text())
    key, value, headers, _ = kafka_record(structured, 12)
    event = decode(Envelope.from_structured(structured))
    assert short(key, value, list(headers)) == (event if event.type == structured["type"] else None)
    agree(key, value, list(headers))


def test_no_more_headers_than_a_relay_writes_are_needed() -> None:
    event = ResponseReceived(
        response_id="r", wave_id="w", instrument_code="PPT", answers={}, day=date(2020, 1, 1), synthetic=True
    )
    sent = Envelope.of(event, id="e", source="/s", correlationid="c", time=datetime(2020, 1, 1, tzinfo=UTC))
    key, value, headers, _ = kafka_record(sent.structured(), 3)
    assert short(key, value, list(headers)) == event
    head = short_way.head(headers)
    assert head is not None
    assert (head.number, head.traceparent) == (3, "")


@given(OTHER, OTHER | JSON.map(json.dumps).map(str.encode), raw_headers)
@example(None, None, [])
def test_any_record(key: bytes | None, value: bytes | None, headers: Headers) -> None:
    agree(key, value, headers)


@given(st.sampled_from(NAMES), OTHER | st.sampled_from([value for _, value in HEADERS]))
@example("ce_time", b"0000-01-01T00:00:00Z")
@example("ce_time", b"2020-02-30T00:00:00Z")
@example("ce_time", b"2016-12-31T23:59:60Z")
@example("ce_time", b"2020-02-11T09:30:00.123456Z")
@example("ce_time", b"2020-02-11t09:30:00z")
@example("ce_time", "2020-02-1\N{ARABIC-INDIC DIGIT ONE}T09:30:00Z".encode())
@example("ce_time", b"2020-02-11T09:30:00Z\n")
@example("ce_sequence", "\N{ARABIC-INDIC DIGIT ONE}".encode())
@example("ce_sequence", b"0")
@example("ce_sequence", b"1" * 21)
@example("ce_sequence", str(2**63).encode())
@example("ce_id", b"")
@example("ce_id", b"\xff")
@example("ce_id", b"a\0b")
@example("traceparent", b"\xff")
@example("tracestate", b"\xff")
@example("ce_causationid", b"\xff")
@example("content-type", b"application/json; charset=utf-8")
def test_one_other_header(name: str, value: bytes | None) -> None:
    agree(KEY, VALUE, [(other, value if other == name else kept) for other, kept in HEADERS])


@given(st.permutations(HEADERS), st.sampled_from(NAMES), OTHER)
def test_any_order_one_left_out_one_given_twice(headers: Headers, name: str, value: bytes | None) -> None:
    agree(KEY, VALUE, headers)
    agree(KEY, VALUE, [header for header in headers if header[0] != name])
    agree(KEY, VALUE, [*headers, (name, value)])
    agree(KEY, VALUE, [(name, value), *headers])


@given(st.sampled_from(tuple(json.loads(VALUE))) | st.text(), JSON)
@example("day", 0)
@example("weight", 1.0)
@example("weight", "1")
@example("synthetic", "yes")
@example("response_id", "r-2")
@example("groups", {"a": 1})
def test_other_data(name: str, value: object) -> None:
    agree(KEY, json.dumps(json.loads(VALUE) | {name: value}).encode(), HEADERS)


@pytest.mark.parametrize("value", [b"[" * 100_000, VALUE[:-1] + b', "a": NaN}', VALUE[:-1] + b', "weight": 2}', b"[]"])
def test_odd_values(value: bytes) -> None:
    agree(KEY, value, HEADERS)
