"""The short way from a Kafka record to its event: for records as a relay writes them, at a third of the time.

It gives what `Envelope.from_kafka` and `decode` give, or None: then these have to be asked, and tell what is wrong or
read what is merely unusual. Headers mostly come in the order they came in before, so where an attribute stands need not
be looked for, and the text of all of them is decoded at once.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import from_json

from rapport_events.catalog import EVENTS
from rapport_events.envelope import CONTENT_TYPE, NUMBERS, SPECVERSION
from rapport_events.event import Event


class Head(NamedTuple):
    """What applying an event asks of its envelope. `traceparent`: "" where there is none; it may be malformed."""

    number: int
    id: str
    type: str
    subject: str
    partitionkey: str
    correlationid: str
    traceparent: str


Pick = Callable[[tuple[Any, ...]], tuple[Any, ...]]

_UTC = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z")

_NEEDED = ("ce_id", "ce_type", "ce_subject", "ce_partitionkey", "ce_correlationid")
_CHECKED = ("ce_source", "ce_dataschema", "content-type", "ce_specversion", "ce_time")
_OPTIONAL = ("ce_causationid", "tracestate")
_WANTED = ("ce_sequence", *_NEEDED, "traceparent", *_CHECKED, *_OPTIONAL)
_DIGITS = 20


class _Heads:
    """Reads heads, and remembers where the attributes stand among the headers of the record before."""

    def __init__(self) -> None:
        self._last: tuple[tuple[str, ...], Pick | None] = (), None

    def head(self, headers: Sequence[tuple[str, bytes]]) -> Head | None:
        """The head of a record that has a number. Never raises."""
        try:
            names, values = zip(*headers)  # noqa: B905 - pairs
            known, pick = self._last
            if names != known:
                pick = _pick(names)
                self._last = names, pick
            if pick is None:
                return None
            texts = b"\0".join(pick((*values, b""))).decode().split("\0")
            number, id_, type_, subject, key, correlation, trace, source, schema, content, version, time, _, _ = texts
            datetime.fromisoformat(time)
        except (ValueError, TypeError):  # no headers, no UTF-8, a value that is none or holds a zero byte, no such time
            return None
        if (
            content != CONTENT_TYPE
            or version != SPECVERSION
            or not (id_ and type_ and subject and key and correlation and source and schema)
            or _UTC.fullmatch(time) is None
            or not (number.isascii() and number.isdigit() and len(number) <= _DIGITS and int(number) in NUMBERS)
        ):
            return None
        return Head(int(number), id_, type_, subject, key, correlation, trace)


@lru_cache(maxsize=64)
def _pick(names: tuple[str, ...]) -> Pick | None:
    """Takes from the values of such headers, with one empty value behind them, those that are wanted, in their order."""
    if any(names.count(name) > 1 for name in _WANTED):
        return None
    if any(name not in names for name in ("ce_sequence", *_NEEDED, *_CHECKED)):
        return None
    return itemgetter(*(names.index(name) if name in names else -1 for name in _WANTED))


head = _Heads().head


def event(read: Head, key: bytes | None, value: bytes | None) -> Event | None:
    """The event of a record with this head, key and value. Never raises."""
    kind = EVENTS.get(read.type)
    if kind is None or value is None or key != read.partitionkey.encode():
        return None
    try:
        found: Event = kind.__pydantic_validator__.validate_python(
            from_json(value, allow_inf_nan=False, cache_strings="keys")
        )
    except (ValueError, ValidationError):
        return None
    return found if getattr(found, kind.key) == read.subject else None
