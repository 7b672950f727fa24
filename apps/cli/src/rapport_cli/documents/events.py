"""docs/events.md: every event, what it says, who tells it and who listens."""

from collections.abc import Iterator
from typing import Any

from rapport_events.catalog import EVENTS, TOPICS, Topic
from rapport_events.event import Event
from rapport_events.golden import Schema, schema

from rapport_cli.documents.house import House
from rapport_cli.documents.markdown import GENERATED, table

HEAD = """\
# Events

What the services tell each other. An event is a fact in the past tense; its type is
`<context>.<aggregate>.<past-tense>.v<N>`, its topic `<context>.<aggregate>`, its key the id of the aggregate.
Only the owner of a topic tells events on it. How they look on Kafka is in `asyncapi/`, one document a service; how to
add or change one is in [CONTRIBUTING.md](../CONTRIBUTING.md).

*Sealed* fields hold a person's words or address, encrypted under the key of the subject they name, and read "erased"
once that key is destroyed. Codes are open: a consumer survives one it does not know. What is absent is left out.
"""

WORDS = {"string": "text", "integer": "integer", "number": "number", "boolean": "true/false"}


def events_page(house: House) -> str:
    """The whole page."""
    lines = [GENERATED, *HEAD.splitlines(), ""]
    lines += table(
        ("topic", "owner", "key", "partitions", "consumers"), (_topic_row(t, house) for t in TOPICS.values())
    )
    shared: dict[str, Schema] = {}
    for service in house.services:
        owned = [topic for topic in TOPICS.values() if topic.owner == service.name]
        lines += (
            [f"## {service.name}", "", service.description, ""] if service.description else [f"## {service.name}", ""]
        )
        for topic in owned:
            lines += [f"### Topic `{topic.name}`", ""]
            for event in _events(topic):
                lines += _event(event, house, shared)
    lines += ["## Values that have parts", ""]
    for name in sorted(shared):
        lines += [f"### {name}", "", *_description(shared[name]), *_fields(shared[name], frozenset())]
    return "\n".join(lines).rstrip() + "\n"


def _topic_row(topic: Topic, house: House) -> tuple[str, ...]:
    listening = dict.fromkeys(name for event in _events(topic) for name, _ in house.consumers(event))
    keys = dict.fromkeys(f"`{event.key}`" for event in _events(topic))
    return f"`{topic.name}`", topic.owner, ", ".join(keys), str(topic.partitions), ", ".join(listening) or "none yet"


def _events(topic: Topic) -> list[type[Event]]:
    return [event for event in EVENTS.values() if event.topic == topic.name]


def _event(event: type[Event], house: House, shared: dict[str, Schema]) -> Iterator[str]:
    described = schema(event)
    shared.update(described.get("$defs", {}))
    yield from (f"#### `{event.type}`", "", *_description(described))
    heard = ", ".join(f"{service} (`{use_case}`)" for service, use_case in house.consumers(event))
    yield f"Told by {house.owner(event).name}; heard by {heard or 'nobody yet'}."
    yield ""
    yield from _fields(described, frozenset(event.sealed))


def _description(described: Schema) -> Iterator[str]:
    yield from str(described.get("description", "")).splitlines()
    yield ""


def _fields(described: Schema, sealed: frozenset[str]) -> Iterator[str]:
    needed = frozenset(described.get("required", ()))
    return table(
        ("field", "type", "sealed", "meaning"),
        (
            (
                f"`{name}`",
                _type(field) + ("" if name in needed else ", optional"),
                "sealed" if name in sealed else "",
                field.get("description", ""),
            )
            for name, field in described["properties"].items()
        ),
    )


def _type(field: dict[str, Any]) -> str:
    match field:
        case {"$ref": str() as reference}:
            name = reference.rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        case {"anyOf": [*choices]}:
            return " or ".join(_type(choice) for choice in choices if choice.get("type") != "null")
        case {"type": "array"}:
            return f"list of {_type(field.get('items', {}))}"
        case {"type": "object"}:
            return f"map of text to {_type(field.get('additionalProperties', {}))}"
        case {"format": str() as kind}:
            return kind
        case _:
            return WORDS[field["type"]] + _range(field)


def _range(field: dict[str, Any]) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    if low is not None and high is not None:
        return f" {low} to {high}"
    return f" from {low}" if low is not None else f" up to {high}" if high is not None else ""
