"""Golden schemas and the gate before them: `python -m rapport_events.golden [--check | --release]`.

    schemas/<type>.json               what the classes say today; written here, never by hand
    schemas/released/<type>/<n>.json  what consumers may rely on; append-only
    examples/<type>/<n>.json          events as they were once emitted; append-only, written by hand
    manifest.sha256                   every append-only file, so that a lost or edited one is noticed

Without an option it writes the schemas of today and lists new examples in the manifest; `--release` moreover adds a
released copy of each schema that differs from its last; `--check` changes nothing and tells what is wrong.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from rapport_events.catalog import EVENTS, InvalidData, NewerVersion, UnknownFamily, decode
from rapport_events.envelope import Envelope, EnvelopeError, dataschema
from rapport_events.event import Event

ROOT = Path(__file__).parents[2]
"""libs/events of a source checkout; an installed package carries no golden files."""

Schema = dict[str, Any]

_WORDS = frozenset({"title", "description"})


def schema(event: type[Event]) -> Schema:
    """JSON Schema (2020-12) of an event's data, as a consumer may rely on it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": dataschema(event.type),
        **event.model_json_schema(),
    }


def incompatibilities(released: Schema, current: Schema) -> list[str]:
    """How `current` breaks a reader or a record of `released`: it may gain optional properties and other words only."""
    found = list(_object_changes("", released, current))
    definitions = current.get("$defs", {})
    for name, before in released.get("$defs", {}).items():
        if name in definitions:  # one no longer referred to shows as a change of the property that did
            found.extend(_object_changes(f"{name}.", before, definitions[name]))
    return found


def check(root: Path = ROOT) -> list[str]:
    """Everything that is wrong with the golden files below `root`, one line each; empty: the gate is open."""
    return [
        *_stale_schemas(root / "schemas"),
        *_broken_releases(root / "schemas"),
        *_unreadable_examples(root / "examples"),
        *_manifest_problems(root),
    ]


def write(root: Path = ROOT) -> None:
    """Writes the schemas of today and lists in the manifest what it does not list yet."""
    folder = root / "schemas"
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.json"):
        if stale.stem not in EVENTS:
            stale.unlink()
    for event in EVENTS.values():
        _schema_path(folder, event).write_text(_text(schema(event)), encoding="utf-8")
    manifest = _manifest(root)
    manifest |= {path: digest for path, digest in _append_only(root).items() if path not in manifest}
    lines = (f"{digest}  {path}\n" for path, digest in sorted(manifest.items()))
    (root / "manifest.sha256").write_text("".join(lines), encoding="utf-8")


def release(root: Path = ROOT) -> None:
    """Adds a released copy of each schema that differs from the last one released."""
    for event in EVENTS.values():
        folder = root / "schemas" / "released" / event.type
        folder.mkdir(parents=True, exist_ok=True)
        copies = _numbered(folder)
        last = copies[-1] if copies else folder / "0.json"
        text = _text(schema(event))
        if not copies or last.read_text(encoding="utf-8") != text:
            (folder / f"{int(last.stem) + 1}.json").write_text(text, encoding="utf-8")
    write(root)


def _object_changes(where: str, before: Schema, after: Schema) -> Iterator[str]:
    old, new = before.get("properties", {}), after.get("properties", {})
    for name in old:
        if name not in new:
            yield f"{where}{name} was removed"
        elif _meaning(old[name]) != _meaning(new[name]):
            yield f"{where}{name} changed"
    for name in sorted(set(before.get("required", ())) ^ set(after.get("required", ()))):
        yield f"{where}{name} is {'now' if name in after.get('required', ()) else 'no longer'} required"
    frame = _WORDS | {"properties", "required", "$defs"}
    if {k: v for k, v in before.items() if k not in frame} != {k: v for k, v in after.items() if k not in frame}:
        yield f"{where or 'the schema '}changed outside its properties"


def _meaning(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _meaning(value) for name, value in node.items() if name not in _WORDS}
    return [_meaning(item) for item in node] if isinstance(node, list) else node


def _stale_schemas(folder: Path) -> Iterator[str]:
    for event in EVENTS.values():
        path = _schema_path(folder, event)
        if not path.is_file() or path.read_text(encoding="utf-8") != _text(schema(event)):
            yield f"{path.name} is not what {event.__name__} says: run `python -m rapport_events.golden`"
    for path in sorted(folder.glob("*.json")):
        if path.stem not in EVENTS:
            yield f"{path.name} belongs to no event: run `python -m rapport_events.golden`"


def _broken_releases(folder: Path) -> Iterator[str]:
    for event in EVENTS.values():
        for path in _numbered(folder / "released" / event.type):
            released = json.loads(path.read_text(encoding="utf-8"))
            for change in incompatibilities(released, schema(event)):
                yield f"{event.type} breaks released/{event.type}/{path.name}: {change}; make a new version"


def _unreadable_examples(folder: Path) -> Iterator[str]:
    for event in EVENTS.values():
        if not _numbered(folder / event.type):
            yield f"{event.type} has no example: write examples/{event.type}/1.json"
    for path in sorted(folder.glob("*/*.json")):
        name = f"examples/{path.parent.name}/{path.name}"
        try:
            envelope = Envelope.from_structured(json.loads(path.read_text(encoding="utf-8")))
            decode(envelope)
        except (EnvelopeError, UnknownFamily, NewerVersion, InvalidData, json.JSONDecodeError) as error:
            yield f"{name} no longer decodes: {error}"
        else:
            if envelope.type != path.parent.name:
                yield f"{name} is of type {envelope.type}"


def _manifest_problems(root: Path) -> Iterator[str]:
    manifest, present = _manifest(root), _append_only(root)
    for path, digest in manifest.items():
        if path not in present:
            yield f"{path} was deleted, and is append-only"
        elif present[path] != digest:
            yield f"{path} was edited, and is append-only"
    for path in present.keys() - manifest.keys():
        yield f"{path} is not in the manifest: run `python -m rapport_events.golden`"


def _manifest(root: Path) -> dict[str, str]:
    path = root / "manifest.sha256"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}


def _append_only(root: Path) -> dict[str, str]:
    files = (*root.glob("examples/*/*.json"), *root.glob("schemas/released/*/*.json"))
    return {file.relative_to(root).as_posix(): sha256(file.read_bytes()).hexdigest() for file in files}


def _schema_path(folder: Path, event: type[Event]) -> Path:
    return folder / f"{event.type}.json"


def _numbered(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json"), key=lambda path: int(path.stem))


def _text(document: Schema) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0 done or nothing wrong, 1 something wrong, 2 called wrongly."""
    match arguments:
        case []:
            write()
        case ["--release"]:
            release()
        case ["--check"]:
            pass
        case _:
            sys.stderr.write("usage: python -m rapport_events.golden [--check | --release]\n")
            return 2
    problems = check()
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
