"""The generated documents are current, and what they say of the topics is true."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator
from rapport_cli.documents.asyncapi import source
from rapport_cli.documents.generated import differences, generate, write
from rapport_cli.documents.house import House
from rapport_events.catalog import EVENTS, TOPICS
from rapport_events.envelope import Envelope
from rapport_events.golden import ROOT as EVENTS_ROOT

from tests.architecture.source import ROOT, SERVICES

DOCS = ROOT / "docs"
OFFICIAL = Path(__file__).parent / "asyncapi" / "3.0.0.schema.json"


def asyncapi(service: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DOCS / f"asyncapi/{service}.yaml").read_text(encoding="utf-8"))
    return loaded


def test_generated_documents_are_current(house: House) -> None:
    assert not list(differences(generate(house)))


def test_the_same_in_another_process() -> None:
    """Nothing in them depends on the order of a set, the clock or the environment."""
    result = subprocess.run(
        [sys.executable, "-m", "rapport_cli.documents", "--check"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONHASHSEED": "4242", "TZ": "Asia/Tokyo", "RAPPORT_HTTP_DOCUMENTATION": "no"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_a_difference_is_shown(house: House, tmp_path: Path) -> None:
    wanted = generate(house)
    write(wanted, tmp_path)
    assert not list(differences(wanted, tmp_path))
    (tmp_path / "events.md").write_text("# Events\n")
    (tmp_path / "asyncapi/gone.yaml").write_text("asyncapi: 3.0.0\n")
    (tmp_path / "openapi/registry.json").unlink()
    told = "\n".join(differences(wanted, tmp_path))
    assert "docs/events.md" in told
    assert "docs/openapi/registry.json" in told
    assert "docs/asyncapi/gone.yaml belongs to no service" in told
    write(wanted, tmp_path)
    assert not list(differences(wanted, tmp_path))


def test_every_event_is_described() -> None:
    page = (DOCS / "events.md").read_text(encoding="utf-8")
    for event in EVENTS.values():
        assert f"`{event.type}`" in page
        assert all(f"| `{name}` |" in page for name in event.model_fields)


@pytest.mark.parametrize("service", SERVICES)
def test_asyncapi_is_valid(service: str) -> None:
    validator = Draft7Validator(json.loads(OFFICIAL.read_text(encoding="utf-8")))
    problems = [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(asyncapi(service))]
    assert not problems


@pytest.mark.parametrize("service", SERVICES)
def test_asyncapi_references_lead_somewhere(service: str) -> None:
    document = asyncapi(service)
    for reference in references(document):
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]


@pytest.mark.parametrize("service", SERVICES)
def test_asyncapi_has_every_topic_and_message(house: House, service: str) -> None:
    document = asyncapi(service)
    declared = next(each for each in house.services if each.name == service)
    actions = {"send": declared.emits, "receive": declared.consumes}
    for action, events in actions.items():
        found = {
            reference["$ref"].rpartition("/")[2]
            for operation in document["operations"].values()
            if operation["action"] == action
            for reference in operation["messages"]
        }
        assert found == {event.type for event in events}
    for name, channel in document["channels"].items():
        assert channel["bindings"]["kafka"]["partitions"] == TOPICS[name].partitions
        assert set(channel["messages"]) == {event.type for event in EVENTS.values() if event.topic == name}


@pytest.mark.parametrize("service", SERVICES)
def test_real_records_fit_their_description(service: str) -> None:
    """Every example of the catalogue, sent as the relay sends it, fits the headers and payload that are described."""
    document = asyncapi(service)
    for type_, message in document["components"]["messages"].items():
        for path in sorted((EVENTS_ROOT / "examples" / type_).glob("*.json")):
            stored = json.loads(path.read_text(encoding="utf-8"))
            stored |= {"source": source(TOPICS[EVENTS[type_].topic].owner), "sequence": f"{7:020}"}
            key, value, headers = Envelope.from_structured(stored).to_kafka()
            fits(document, message["headers"], {name: content.decode() for name, content in headers})
            fits(document, message["payload"], json.loads(value))
            assert key.decode() == json.loads(value)[EVENTS[type_].key]
        for example in message["examples"]:
            fits(document, message["headers"], example["headers"])
            fits(document, message["payload"], example["payload"])


@pytest.mark.parametrize("service", SERVICES)
def test_a_strange_header_does_not_fit(service: str) -> None:
    document = asyncapi(service)
    message = next(iter(document["components"]["messages"].values()))
    headers = message["examples"][0]["headers"]
    for name, value in (("ce_sequence", "7"), ("ce_type", "another.type.told.v1"), ("ce_source", "urn:rapport:")):
        with pytest.raises(AssertionError):
            fits(document, message["headers"], headers | {name: value})


@pytest.mark.parametrize("service", SERVICES)
def test_openapi_is_whole(service: str) -> None:
    document = json.loads((DOCS / f"openapi/{service}.json").read_text(encoding="utf-8"))
    assert document["openapi"].startswith("3.1.")
    operations = [each for path in document["paths"].values() for each in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    assert all("x-access" in operation for operation in operations)
    for reference in references(document):
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
    for name, schema in document["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        assert name


def fits(document: dict[str, Any], schema: dict[str, Any], instance: Any) -> None:
    """Checked as AsyncAPI means it: references lead to the document's components."""
    whole = {**schema, "components": document["components"]}
    problems = [error.message for error in Draft7Validator(whole).iter_errors(instance)]
    assert not problems


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [reference for part in node.values() for reference in references(part)]
    return [reference for part in node for reference in references(part)] if isinstance(node, list) else []
