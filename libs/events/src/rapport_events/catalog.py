"""Every event type there is, the topics they are on, and the way from bytes of any version to today's class."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import Any

from pydantic import ValidationError

from rapport_events import engagement, feedback, measures, notifications, registry
from rapport_events.envelope import Envelope
from rapport_events.event import Event
from rapport_events.upcast import UPCASTERS, Upcaster

_VERSIONED = re.compile(r"(.+)\.v([1-9][0-9]{0,4})")


class UnknownFamily(LookupError):
    """Nobody here knows this kind of event, in any version."""


class NewerVersion(LookupError):
    """The family is known, but this consumer is older than the event: park it until the upgrade."""


class InvalidData(ValueError):
    """The data do not fit their type; the text names fields and rules, never values."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A Kafka topic: all events of one aggregate of one context, keyed by the aggregate's id."""

    name: str
    partitions: int
    owner: str
    """The service that alone emits on it."""
    aggregate: str


class Catalog:
    """The newest class of each event family, and how older data reach it."""

    def __init__(
        self,
        events: Iterable[type[Event]],
        upcasters: Mapping[tuple[str, int], Upcaster],
        partitions: Mapping[str, int] | None = None,
        default_partitions: int = 3,
    ) -> None:
        """`partitions` are those of topics that need another number than the default.

        Raises ValueError where a family is listed twice or an older version has no way up.
        """
        classes = tuple(events)
        self._newest = {event.family: event for event in classes}
        self._upcasters = dict(upcasters)
        if len(self._newest) != len(classes):
            raise ValueError("a family is listed twice: the catalogue holds its newest class only")
        steps = {(event.family, version) for event in classes for version in range(1, event.version)}
        if steps != self._upcasters.keys():
            raise ValueError(f"upcasters missing or without use: {sorted(steps ^ self._upcasters.keys())}")
        self.events: Mapping[str, type[Event]] = MappingProxyType({event.type: event for event in classes})
        self.topics: Mapping[str, Topic] = MappingProxyType(
            {
                event.topic: Topic(
                    event.topic,
                    (partitions or {}).get(event.topic, default_partitions),
                    *event.topic.split(".", maxsplit=1),
                )
                for event in classes
            }
        )

    def decode(self, envelope: Envelope) -> Event:
        """The event as an instance of the newest class of its family.

        Raises UnknownFamily, NewerVersion or InvalidData, and nothing else.
        """
        event_class = self.events.get(envelope.type)
        data = envelope.data
        if event_class is None:
            event_class, data = self._upcast(envelope)
        try:
            event = event_class.model_validate(data)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False, include_input=False)
            told = "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems)
            raise InvalidData(f"{envelope.type}: {told}") from None
        if event.aggregate_id() != envelope.subject:
            raise InvalidData(f"{envelope.type}: {event.key} is not the envelope's subject")
        return event

    def _upcast(self, envelope: Envelope) -> tuple[type[Event], dict[str, Any]]:
        parts = _VERSIONED.fullmatch(envelope.type)
        newest = self._newest.get(parts[1]) if parts else None
        if parts is None or newest is None:
            raise UnknownFamily(envelope.type)
        version = int(parts[2])
        if version > newest.version:
            raise NewerVersion(f"{envelope.type}: known up to version {newest.version}")
        data = envelope.data
        for step in range(version, newest.version):
            try:
                data = self._upcasters[newest.family, step](dict(data))
            except Exception as error:  # an upcaster meets whatever was written under its type
                raise InvalidData(f"{envelope.type}: upcaster from version {step}: {type(error).__name__}") from error
        return newest, data


def _events_in(module: ModuleType) -> Iterator[type[Event]]:
    """The event classes a context module defines; facts shared by several have no type of their own."""
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Event) and "type" in vars(value):
            yield value


CATALOG = Catalog(
    (event for context in (registry, engagement, feedback, measures, notifications) for event in _events_in(context)),
    UPCASTERS,
    partitions={"feedback.response": 6},
)

EVENTS = CATALOG.events
TOPICS = CATALOG.topics
decode = CATALOG.decode
