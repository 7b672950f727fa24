"""Records of Kafka and letters of the store, whatever is in them: an event, or an error that the consumer knows."""

import contextlib
import json

import atheris

with atheris.instrument_imports(include=["rapport_events"]):
    from rapport_events.catalog import InvalidData, NewerVersion, UnknownFamily, decode
    from rapport_events.envelope import Envelope, EnvelopeError

from tests.fuzz.target import drive

STORED = range(1, 2**63)


def one(data: bytes) -> None:
    """Lines of headers with the key first, an empty line, the value."""
    head, _, value = data.partition(b"\n\n")
    key, *lines = head.split(b"\n")
    headers = [(name.decode("latin-1"), text) for name, _, text in (line.partition(b": ") for line in lines)]
    with contextlib.suppress(EnvelopeError):
        read(Envelope.from_kafka(key, value, headers))
    with contextlib.suppress(EnvelopeError, ValueError, RecursionError):  # json's own are no errors of ours
        document = json.loads(value)
        read(Envelope.from_structured(document))


def read(envelope: Envelope) -> None:
    assert envelope.sequence is None or envelope.sequence in STORED
    assert Envelope.from_structured(envelope.structured()) == envelope
    with contextlib.suppress(UnknownFamily, NewerVersion, InvalidData):
        event = decode(envelope)
        assert event.aggregate_id() == envelope.subject


if __name__ == "__main__":
    drive(one)
