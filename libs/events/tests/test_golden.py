"""The compatibility gate, and that it shuts."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from rapport_events import golden
from rapport_events.catalog import EVENTS

ROOT = golden.ROOT
EXAMPLES = sorted((ROOT / "examples").glob("*/*.json"))
RECEIVED = "feedback.response.received.v1"


def test_gate_is_open() -> None:
    assert golden.check() == []


def test_every_event_is_released() -> None:
    assert {path.name for path in (ROOT / "schemas" / "released").iterdir()} >= EVENTS.keys()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_example_fits_every_released_schema_of_its_type(path: Path) -> None:
    data = json.loads(path.read_text())["data"]
    released = sorted((ROOT / "schemas" / "released" / path.parent.name).glob("*.json"))
    for schema in (*released, *(ROOT / "schemas").glob(f"{path.parent.name}.json")):
        validator = Draft202012Validator(
            json.loads(schema.read_text()), format_checker=Draft202012Validator.FORMAT_CHECKER
        )
        validator.validate(data)


@pytest.mark.parametrize("event_type", EVENTS)
def test_schema_is_valid(event_type: str) -> None:
    Draft202012Validator.check_schema(golden.schema(EVENTS[event_type]))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in ("schemas", "examples"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "manifest.sha256", tmp_path)
    return tmp_path


def test_writing_and_releasing_again_changes_nothing(copy: Path) -> None:
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    golden.write(copy)
    golden.release(copy)
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "lost", [f"examples/{RECEIVED}/1.json", f"schemas/released/{RECEIVED}/1.json"], ids=["example", "released schema"]
)
def test_append_only_file_that_is_lost_or_edited_is_found(copy: Path, lost: str) -> None:
    (copy / lost).write_text((copy / lost).read_text() + "\n")
    assert golden.check(copy) == [f"{lost} was edited, and is append-only"]
    (copy / lost).unlink()
    assert golden.check(copy) == [f"{lost} was deleted, and is append-only"]
    golden.write(copy)
    assert golden.check(copy) == [f"{lost} was deleted, and is append-only"]


def test_schema_edited_by_hand_is_found_and_written_again(copy: Path) -> None:
    (copy / "schemas" / f"{RECEIVED}.json").write_text("{}")
    (copy / "schemas" / "feedback.response.guessed.v1.json").write_text("{}")
    assert [problem.split()[0] for problem in golden.check(copy)] == [
        f"{RECEIVED}.json",
        "feedback.response.guessed.v1.json",
    ]
    golden.write(copy)
    assert golden.check(copy) == []


def test_event_without_example_is_found(copy: Path) -> None:
    shutil.rmtree(copy / "examples" / RECEIVED)
    assert f"{RECEIVED} has no example: write examples/{RECEIVED}/1.json" in golden.check(copy)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"type": "feedback.response.guessed.v1"}, "no longer decodes"),
        ({"type": "feedback.response.received.v2"}, "no longer decodes"),
        ({"data": {}}, "no longer decodes"),
        ({"specversion": "0.3"}, "no longer decodes"),
    ],
)
def test_example_that_no_longer_decodes_is_found(copy: Path, change: dict[str, Any], told: str) -> None:
    example = json.loads((copy / "examples" / RECEIVED / "1.json").read_text())
    (copy / "examples" / RECEIVED / "9.json").write_text(json.dumps(example | change))
    golden.write(copy)
    (problem,) = golden.check(copy)
    assert problem.startswith(f"examples/{RECEIVED}/9.json {told}")


def test_example_in_the_wrong_folder_is_found(copy: Path) -> None:
    shutil.copy(copy / "examples" / "feedback.wave.closed.v1" / "1.json", copy / "examples" / RECEIVED / "9.json")
    golden.write(copy)
    assert golden.check(copy) == [f"examples/{RECEIVED}/9.json is of type feedback.wave.closed.v1"]


def test_new_example_must_be_listed(copy: Path) -> None:
    shutil.copy(copy / "examples" / RECEIVED / "1.json", copy / "examples" / RECEIVED / "9.json")
    assert [problem.split(":")[0] for problem in golden.check(copy)] == [
        f"examples/{RECEIVED}/9.json is not in the manifest"
    ]
    golden.write(copy)
    assert golden.check(copy) == []


def test_class_that_breaks_a_released_schema_is_found(copy: Path) -> None:
    path = copy / "schemas" / "released" / RECEIVED / "1.json"
    released = json.loads(path.read_text())
    released["properties"]["mood"] = {"type": "string"}
    path.write_text(json.dumps(released))
    assert f"{RECEIVED} breaks released/{RECEIVED}/1.json: mood was removed; make a new version" in golden.check(copy)


BEFORE: golden.Schema = {
    "type": "object",
    "description": "before",
    "properties": {"id": {"type": "string", "description": "before"}, "words": {"$ref": "#/$defs/Words"}},
    "required": ["id"],
    "$defs": {"Words": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}},
}


def changed(change: Callable[[Any], object]) -> list[str]:
    after = json.loads(json.dumps(BEFORE))
    change(after)
    return golden.incompatibilities(BEFORE, after)


class TestCompatibility:
    @pytest.mark.parametrize(
        "change",
        [
            lambda after: None,
            lambda after: after.update(description="after"),
            lambda after: after["properties"]["id"].update(description="after", title="Id"),
            lambda after: after["properties"].update(more={"type": "integer", "default": 0}),
            lambda after: after["$defs"]["Words"]["properties"].update(more={"type": "integer", "default": 0}),
            lambda after: after["$defs"].update(More={"type": "object"}),
        ],
        ids=["nothing", "words", "words of a property", "optional property", "optional property below", "definition"],
    )
    def test_allowed(self, change: Callable[[Any], object]) -> None:
        assert changed(change) == []

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda after: after["properties"].pop("words"), "words was removed"),
            (lambda after: after["properties"]["id"].update(type="integer"), "id changed"),
            (lambda after: after["properties"]["id"].update(minLength=1), "id changed"),
            (lambda after: after["required"].append("words"), "words is now required"),
            (lambda after: after["required"].remove("id"), "id is no longer required"),
            (lambda after: after.update(additionalProperties=False), "the schema changed outside its properties"),
            (lambda after: after["$defs"]["Words"]["properties"].pop("text"), "Words.text was removed"),
            (lambda after: after["$defs"]["Words"]["required"].clear(), "Words.text is no longer required"),
        ],
    )
    def test_refused(self, change: Callable[[Any], object], told: str) -> None:
        assert changed(change) == [told]


def test_called_wrongly() -> None:
    assert golden.main(["--chekc"]) == 2


def test_check_from_the_command_line() -> None:
    assert golden.main(["--check"]) == 0
