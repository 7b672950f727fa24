"""docs/asyncapi/<service>.yaml: AsyncAPI 3.0 of what a service writes to Kafka and reads from it.

Headers and examples are those of `rapport_events.envelope`, schemas the golden ones; so what is described is what is
on the topics. Schemas that events share move to `components`, where AsyncAPI's tools look for them.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import yaml
from rapport_chassis.service import Service
from rapport_events import golden
from rapport_events.catalog import EVENTS, TOPICS
from rapport_events.envelope import CONTENT_TYPE, SPECVERSION, Envelope, dataschema
from rapport_events.event import Event

from rapport_cli.documents.house import House

BINDING = "0.5.0"
"""Version of AsyncAPI's Kafka bindings."""

GENERATED = "# Written by `make docs` from the code; edit the code.\n"

DESCRIPTION = """\
Events are CloudEvents 1.0 in Kafka's binary mode: the value is the JSON of the data, everything else is in headers.
Delivery is at least once. The relay gives the events of each partition the numbers 1, 2, 3 … (`ce_sequence`) and sends
them in that order; a consumer applies number n+1, drops anything up to n, and waits at a gap. A record that is read
again has the same number and the same `ce_id`.

Topics may still hold older versions of a type: readers lift them to the newest one, which is described here.
"""

PARTITION_RULE = "(murmur2(key) & 0x7fffffff) mod partitions"

HEADERS: dict[str, Any] = {
    "type": "object",
    "description": "CloudEvents attributes, and W3C trace context where OpenTelemetry looks for it",
    "required": [
        "content-type",
        "ce_specversion",
        "ce_id",
        "ce_source",
        "ce_type",
        "ce_time",
        "ce_subject",
        "ce_dataschema",
        "ce_partitionkey",
        "ce_sequence",
        "ce_correlationid",
    ],
    "properties": {
        "content-type": {"type": "string", "const": CONTENT_TYPE},
        "ce_specversion": {"type": "string", "const": SPECVERSION},
        "ce_id": {"type": "string", "format": "uuid", "description": "UUIDv7; UUIDv4 where no time may be told"},
        "ce_source": {"type": "string", "pattern": "^urn:rapport:[a-z]+$", "description": "The service that told it"},
        "ce_type": {"type": "string"},
        "ce_time": {
            "type": "string",
            "format": "date-time",
            "description": "When the owner recorded it, UTC; midnight where only the day may be told",
        },
        "ce_subject": {"type": "string", "description": "Id of the aggregate"},
        "ce_dataschema": {"type": "string", "format": "uri"},
        "ce_partitionkey": {"type": "string", "description": "The record's key: the id of the aggregate"},
        "ce_sequence": {
            "type": "string",
            "pattern": "^[0-9]{20}$",
            "description": "The relay's number of the event within its partition, from 1 without gaps",
        },
        "ce_correlationid": {"type": "string", "description": "Of the request that set it all off"},
        "ce_causationid": {"type": "string", "description": "ce_id of the event that it follows from"},
        "traceparent": {"type": "string", "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"},
        "tracestate": {"type": "string"},
    },
}


def asyncapi_document(service: Service, house: House) -> str:
    """YAML text."""
    return GENERATED + yaml.dump(
        document(service, house), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120
    )


def document(service: Service, house: House) -> dict[str, Any]:
    """The document as data."""
    told, heard = _by_topic(service.emits), _by_topic(service.consumes)
    topics = [*told, *(topic for topic in heard if topic not in told)]
    messages = [event for event in EVENTS.values() if event.topic in topics]
    schemas: dict[str, Any] = {"Headers": HEADERS}
    described = {event.type: _message(event, house, schemas) for event in messages}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": f"Rapport {service.name}: events",
            "version": "1",
            "description": f"{service.description}\n\n{DESCRIPTION}".lstrip(),
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "description": "Apache Kafka; SASL and TLS as the settings RAPPORT_KAFKA_* say",
                "variables": {
                    "bootstrap": {"default": "127.0.0.1:9092", "description": "RAPPORT_KAFKA_BOOTSTRAP"},
                },
            }
        },
        "channels": {topic: _channel(topic, messages) for topic in topics},
        "operations": {
            **{f"send.{topic}": _operation("send", service, topic, events) for topic, events in told.items()},
            **{f"receive.{topic}": _operation("receive", service, topic, events) for topic, events in heard.items()},
        },
        "components": {"messages": described, "schemas": schemas},
    }


def _by_topic(events: Iterable[type[Event]]) -> dict[str, list[type[Event]]]:
    found: dict[str, list[type[Event]]] = {}
    for event in events:
        found.setdefault(event.topic, []).append(event)
    return found


def _channel(topic: str, messages: list[type[Event]]) -> dict[str, Any]:
    known = TOPICS[topic]
    return {
        "address": topic,
        "description": f"All events of the aggregate {known.aggregate}, told by {known.owner} alone. Those of one "
        f"aggregate are in one partition and keep their order. The number of partitions is fixed: {known.partitions}.",
        "messages": {
            event.type: {"$ref": f"#/components/messages/{event.type}"} for event in messages if event.topic == topic
        },
        "bindings": {"kafka": {"topic": topic, "partitions": known.partitions, "bindingVersion": BINDING}},
        "x-partition-rule": PARTITION_RULE,
    }


def _operation(action: str, service: Service, topic: str, events: list[type[Event]]) -> dict[str, Any]:
    receives = action == "receive"
    kafka: dict[str, Any] = {"groupId": {"type": "string", "const": service.name}} if receives else {}
    role = "consumer" if receives else "relay"
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic}"},
        "summary": _use_cases(service, events) if receives else f"The relay of {service.name} sends its journal",
        "messages": [{"$ref": f"#/channels/{topic}/messages/{event.type}"} for event in events],
        "bindings": {
            "kafka": {
                **kafka,
                "clientId": {"type": "string", "const": f"{service.name}-{role}"},
                "bindingVersion": BINDING,
            }
        },
    }


def _use_cases(service: Service, events: list[type[Event]]) -> str:
    names = dict.fromkeys(service.consumes[event].__name__ for event in events)
    return f"Applied by {', '.join(names)}; other types of the topic are skipped"


def _message(event: type[Event], house: House, schemas: dict[str, Any]) -> dict[str, Any]:
    owner = house.owner(event).name
    payload = {name: part for name, part in golden.schema(event).items() if name not in ("$schema", "$id", "$defs")}
    for name, shared in golden.schema(event).get("$defs", {}).items():
        if schemas.setdefault(name, _moved(shared)) != _moved(shared):
            raise ValueError(f"two events mean different things by {name}: name one of them anew")
    message = {
        "name": event.type,
        "title": event.__name__,
        "summary": str(payload.get("description", "")).partition("\n")[0],
        "contentType": CONTENT_TYPE,
        "correlationId": {"location": "$message.header#/ce_correlationid"},
        "headers": {
            "type": "object",
            "allOf": [
                {"$ref": "#/components/schemas/Headers"},
                {
                    "properties": {
                        "ce_type": {"const": event.type},
                        "ce_dataschema": {"const": dataschema(event.type)},
                        "ce_source": {"const": source(owner)},
                    }
                },
            ],
        },
        "payload": _moved(payload),
        "bindings": {
            "kafka": {"key": {"type": "string", "description": f"`{event.key}` in UTF-8"}, "bindingVersion": BINDING}
        },
        "examples": [_example(event, owner)],
    }
    if event.sealed:
        message["x-sealed"] = list(event.sealed)
    return message


def source(service: str) -> str:
    """`ce_source` of what a service tells."""
    return f"urn:rapport:{service}"


def _example(event: type[Event], owner: str) -> dict[str, Any]:
    """The newest example of the catalogue, as the relay of the owner would send it."""
    newest = max((golden.ROOT / "examples" / event.type).glob("*.json"), key=lambda path: int(path.stem))
    envelope = Envelope.from_structured(json.loads(newest.read_text(encoding="utf-8")))
    sent = replace(envelope, source=source(owner), sequence=envelope.sequence or 1)
    _, _, headers = sent.to_kafka()
    return {
        "name": newest.stem,
        "headers": {name: value.decode() for name, value in headers},
        "payload": sent.data,
    }


def _moved(node: Any) -> Any:
    """The same schema with its references pointing to the document's components."""
    if isinstance(node, dict):
        return {
            name: part.replace("#/$defs/", "#/components/schemas/") if name == "$ref" else _moved(part)
            for name, part in node.items()
        }
    return [_moved(part) for part in node] if isinstance(node, list) else node


class _Plain(yaml.SafeDumper):
    """Without anchors, and texts of several lines as they are: a person reads it too."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - as PyYAML calls it
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


_Plain.add_representer(str, _Plain.represent_str)
