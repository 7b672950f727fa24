"""CloudEvents 1.0 around an event: binary mode on Kafka, structured mode in outbox and dead letters.

Kafka binding: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
Extensions: partitioning (partitionkey), sequence (sequence), and correlationid / causationid. The W3C trace context
travels in plain `traceparent` / `tracestate` headers, where OpenTelemetry looks for it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from pydantic_core import from_json, to_json

from rapport_events.event import Event

Headers = list[tuple[str, bytes]]

CONTENT_TYPE = "application/json"
SPECVERSION = "1.0"

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)
_SEQUENCE = re.compile(r"[0-9]{1,20}")
NUMBERS = range(1, 2**63)
"""What a relay may give: from 1, and as large as a store can keep."""
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_REQUIRED = ("id", "source", "type", "subject", "dataschema", "partitionkey", "correlationid")


class EnvelopeError(ValueError):
    """What arrived is not one of our envelopes; `reason` says why, without quoting content."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Envelope:
    """An event and everything said about it. `time` is UTC; `data` is in JSON mode (dates are strings)."""

    id: str
    source: str
    type: str
    time: datetime
    subject: str
    dataschema: str
    partitionkey: str
    data: dict[str, Any]
    correlationid: str
    causationid: str | None = None
    sequence: int | None = None
    traceparent: str | None = None
    tracestate: str | None = None

    @classmethod
    def of(
        cls,
        event: Event,
        *,
        id: str,  # noqa: A002 - the attribute's name in CloudEvents
        source: str,
        time: datetime,
        correlationid: str,
        causationid: str | None = None,
        traceparent: str | None = None,
        tracestate: str | None = None,
    ) -> Self:
        """Wraps an event whose sealed fields are sealed; raises ValueError where one is not, or `time` has no zone.

        `sequence` stays None: the relay numbers events when it sends them.
        """
        if time.tzinfo is None:
            raise ValueError("an event's time needs a time zone")
        key = event.aggregate_id()
        return cls(
            id=id,
            source=source,
            type=event.type,
            time=time.astimezone(UTC),
            subject=key,
            dataschema=dataschema(event.type),
            partitionkey=key,
            data=event.model_dump(mode="json", exclude_none=True),
            correlationid=correlationid,
            causationid=causationid,
            traceparent=traceparent,
            tracestate=tracestate,
        )

    def structured(self) -> dict[str, Any]:
        """The event in CloudEvents' JSON format (structured mode), ready for any JSON writer."""
        return {
            "specversion": SPECVERSION,
            **self._attributes(),
            **self._trace(),
            "datacontenttype": CONTENT_TYPE,
            "data": self.data,
        }

    @classmethod
    def from_structured(cls, document: Mapping[str, Any]) -> Self:
        """Reads what `structured` wrote. Raises EnvelopeError on anything malformed."""
        if not isinstance(document, Mapping):
            raise EnvelopeError("not an object")
        data = document.get("data")
        if not isinstance(data, dict):
            raise EnvelopeError("data is not an object")
        attributes: dict[str, str] = {}
        for name, value in document.items():
            if isinstance(value, str):
                attributes[name] = value
            elif name in _KNOWN and value is not None:
                raise EnvelopeError(f"{name} is not a string")
        return cls._read(attributes, data)

    def size(self) -> int:
        """Bytes of the Kafka record's value."""
        return len(to_json(self.data, inf_nan_mode="null"))

    def to_kafka(self) -> tuple[bytes, bytes, Headers]:
        """Key, value and headers of the Kafka record (binary mode)."""
        headers = [("content-type", CONTENT_TYPE.encode()), ("ce_specversion", SPECVERSION.encode())]
        headers.extend((f"ce_{name}", value.encode()) for name, value in self._attributes().items())
        headers.extend((name, value.encode()) for name, value in self._trace().items())
        return self.partitionkey.encode(), to_json(self.data, inf_nan_mode="null"), headers

    @classmethod
    def from_kafka(cls, key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes | None]]) -> Self:
        """Reads a Kafka record. Total: whatever the bytes, an envelope or EnvelopeError, and nothing else."""
        attributes: dict[str, str] = {}
        for name, raw in headers:
            attribute = _HEADERS.get(name)
            if attribute is None or raw is None:
                continue
            try:
                text = raw.decode()
            except UnicodeDecodeError:
                if attribute in _TRACE:
                    continue  # a broken trace must not stop an event
                raise EnvelopeError(f"header {name} is not UTF-8") from None
            if attributes.setdefault(attribute, text) != text and attribute not in _TRACE:
                raise EnvelopeError(f"header {name} is given twice")
        if key is None or key != attributes.get("partitionkey", "").encode():
            raise EnvelopeError("key is not the partition key")
        try:
            data = from_json(value or b"", allow_inf_nan=False)
        except ValueError:
            raise EnvelopeError("value is not JSON") from None
        if not isinstance(data, dict):
            raise EnvelopeError("value is not a JSON object")
        return cls._read(attributes, data)

    def _attributes(self) -> dict[str, str]:
        attributes = {
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "time": self.time.isoformat().replace("+00:00", "Z"),
            "subject": self.subject,
            "dataschema": self.dataschema,
            "partitionkey": self.partitionkey,
            "correlationid": self.correlationid,
        }
        if self.causationid is not None:
            attributes["causationid"] = self.causationid
        if self.sequence is not None:
            attributes["sequence"] = sequence_text(self.sequence)
        return attributes

    def _trace(self) -> dict[str, str]:
        trace = {"traceparent": self.traceparent, "tracestate": self.tracestate}
        return {name: value for name, value in trace.items() if value is not None}

    @classmethod
    def _read(cls, attributes: Mapping[str, str], data: dict[str, Any]) -> Self:
        if attributes.get("specversion") != SPECVERSION:
            raise EnvelopeError(f"specversion is not {SPECVERSION}")
        if attributes.get("datacontenttype", "").partition(";")[0].strip().lower() != CONTENT_TYPE:
            raise EnvelopeError(f"content type is not {CONTENT_TYPE}")
        for name in _REQUIRED:
            if not attributes.get(name):
                raise EnvelopeError(f"{name} is missing")
        traceparent = attributes.get("traceparent")
        if traceparent is not None and not _TRACEPARENT.fullmatch(traceparent):
            traceparent = None
        return cls(
            id=attributes["id"],
            source=attributes["source"],
            type=attributes["type"],
            time=_time(attributes.get("time")),
            subject=attributes["subject"],
            dataschema=attributes["dataschema"],
            partitionkey=attributes["partitionkey"],
            data=data,
            correlationid=attributes["correlationid"],
            causationid=attributes.get("causationid"),
            sequence=_sequence(attributes.get("sequence")),
            traceparent=traceparent,
            tracestate=attributes.get("tracestate") if traceparent else None,
        )


def kafka_record(structured: Mapping[str, Any], sequence: int) -> tuple[bytes, bytes, Headers, int]:
    """Key, value, headers and timestamp (ms) of the record of what `Envelope.structured` wrote, with its number.

    The same bytes as by way of `from_structured` and `to_kafka`, at a fifth of the time: what is in one's own journal
    has been checked.
    """
    headers = [(header, structured[name].encode()) for name, header in _WIRE if name in structured]
    headers.append(("ce_sequence", sequence_text(sequence).encode()))
    value = to_json(structured["data"], inf_nan_mode="null")
    milliseconds = int(datetime.fromisoformat(structured["time"]).timestamp() * 1000)
    return structured["partitionkey"].encode(), value, headers, milliseconds


def dataschema(event_type: str) -> str:
    """The URI that names the schema of a type."""
    return f"urn:rapport:event:{event_type}"


def sequence_text(number: int) -> str:
    """A partition's number as CloudEvents' sequence extension wants it: a string that sorts as the number does."""
    return f"{number:020d}"


def _time(text: str | None) -> datetime:
    if text is None or not _TIME.fullmatch(text):
        raise EnvelopeError("time is not an RFC 3339 timestamp")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise EnvelopeError("time does not exist") from None


def _sequence(text: str | None) -> int | None:
    if text is None:
        return None
    if not _SEQUENCE.fullmatch(text) or int(text) not in NUMBERS:
        raise EnvelopeError("sequence is not a number from 1 that can be stored")
    return int(text)


_TRACE = frozenset({"traceparent", "tracestate"})
_KNOWN = frozenset({*_REQUIRED, *_TRACE, "specversion", "time", "causationid", "sequence", "datacontenttype"})
_HEADERS = {
    "content-type": "datacontenttype",
    **{f"ce_{name}": name for name in _KNOWN - _TRACE - {"datacontenttype"}},
    **{name: name for name in _TRACE},
}
_WIRE = tuple(sorted((attribute, header) for header, attribute in _HEADERS.items() if attribute != "sequence"))
