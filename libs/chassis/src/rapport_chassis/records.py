"""Kafka records as they lie on a topic, whoever put them there: their headers, the relay's number, their envelope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from rapport_events.envelope import NUMBERS, Envelope, EnvelopeError

if TYPE_CHECKING:
    from collections.abc import Sequence


class RawRecord(Protocol):
    """A Kafka record as the client library gives it."""

    @property
    def topic(self) -> str: ...

    @property
    def partition(self) -> int: ...

    @property
    def offset(self) -> int: ...

    @property
    def key(self) -> bytes | None: ...

    @property
    def value(self) -> bytes | None: ...

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


def read(record: RawRecord) -> Envelope:
    """The envelope of a record that a relay sent. Raises EnvelopeError."""
    envelope = Envelope.from_kafka(record.key, record.value, record.headers)
    if envelope.sequence is None:
        raise EnvelopeError("no relay gave it a number")
    return envelope


def header(headers: Sequence[tuple[str, bytes]], name: str) -> str | None:
    """A header as text, None where it is absent or no UTF-8."""
    for key, value in headers:
        if key == name:
            try:
                return value.decode()
            except (UnicodeDecodeError, AttributeError):
                return None
    return None


def number_of(headers: Sequence[tuple[str, bytes]]) -> int | None:
    """The relay's number of a record, None where there is none: then it did not come from a relay."""
    text = header(headers, "ce_sequence")
    if text is None or not (text.isascii() and text.isdigit() and len(text) <= 20):  # noqa: PLR2004 - width on the wire
        return None
    return number if (number := int(text)) in NUMBERS else None
