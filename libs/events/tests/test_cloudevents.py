"""The official CloudEvents package reads what we write, and we read what it writes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings import kafka
from cloudevents.core.bindings.kafka import KafkaMessage
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st
from rapport_events.envelope import Envelope, sequence_text

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*/*.json"))
EXAMPLE_ENVELOPES = [Envelope.from_structured(json.loads(path.read_text())) for path in EXAMPLES]
IDS = [f"{path.parent.name}-{path.stem}" for path in EXAMPLES]


def attributes(envelope: Envelope) -> dict[str, Any]:
    said = {
        "specversion": "1.0",
        "datacontenttype": "application/json",
        "id": envelope.id,
        "source": envelope.source,
        "type": envelope.type,
        "time": envelope.time,
        "subject": envelope.subject,
        "dataschema": envelope.dataschema,
        "partitionkey": envelope.partitionkey,
        "correlationid": envelope.correlationid,
        "causationid": envelope.causationid,
        "sequence": None if envelope.sequence is None else sequence_text(envelope.sequence),
    }
    return {name: value for name, value in said.items() if value is not None}


def trace(envelope: Envelope) -> dict[str, str]:
    said = {"traceparent": envelope.traceparent, "tracestate": envelope.tracestate}
    return {name: value for name, value in said.items() if value is not None}


def check_binary(envelope: Envelope) -> None:
    key, value, headers = envelope.to_kafka()
    theirs = kafka.from_binary(KafkaMessage(dict(headers), key, value), JSONFormat())
    assert theirs.get_attributes() == attributes(envelope)
    assert theirs.get_data() == envelope.data
    back = kafka.to_binary(theirs, JSONFormat())
    assert isinstance(back.key, str)
    # the official binding knows no plain traceparent: the trace is the transport's, not the event's
    assert Envelope.from_kafka(back.key.encode(), back.value, list(back.headers.items())) == replace(
        envelope, traceparent=None, tracestate=None
    )


def check_structured(envelope: Envelope) -> None:
    theirs = JSONFormat().read(None, json.dumps(envelope.structured()))
    assert theirs.get_attributes() == attributes(envelope) | trace(envelope)
    assert theirs.get_data() == envelope.data
    assert Envelope.from_structured(json.loads(JSONFormat().write(theirs))) == envelope


@pytest.mark.parametrize("envelope", EXAMPLE_ENVELOPES, ids=IDS)
def test_examples_agree(envelope: Envelope) -> None:
    check_binary(envelope)
    check_structured(envelope)


@given(st.from_type(Envelope))
def test_binary_mode_agrees(envelope: Envelope) -> None:
    check_binary(envelope)


@given(st.from_type(Envelope))
def test_structured_mode_agrees(envelope: Envelope) -> None:
    check_structured(envelope)
