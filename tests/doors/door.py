"""One operation of a service as its OpenAPI tells of it: what it takes, and a request that fits, from which bad ones are made.

Nothing here knows a route: one that is added tomorrow is a door tomorrow.
"""

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import quote

from hypothesis import find
from hypothesis import strategies as st

UNKNOWN_ID = "0190d901-9ff2-720a-87ff-8fc99a817e65"
JSON = "application/json"
SCALARS = frozenset({"string", "integer", "number", "boolean"})


@dataclass(frozen=True, slots=True)
class Place:
    """One value in a body: its JSON pointer, and every schema that fits it (null left out)."""

    pointer: tuple[str | int, ...]
    schemas: tuple[Mapping[str, Any], ...]

    @property
    def text(self) -> str:
        return "".join(f"/{step}" for step in self.pointer)

    @property
    def types(self) -> set[str]:
        """Empty for a place that takes anything."""
        return {kind for schema in self.schemas if (kind := schema.get("type"))}

    @property
    def enum(self) -> list[Any] | None:
        return next((schema["enum"] for schema in self.schemas if "enum" in schema), None)

    @property
    def format(self) -> str | None:
        return next((schema["format"] for schema in self.schemas if "format" in schema), None)

    def only(self, kind: str) -> bool:
        return self.types == {kind}

    def bound(self, name: str) -> Any:
        return next((schema[name] for schema in self.schemas if name in schema), None)


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    where: str
    """path, query, header"""
    required: bool
    place: Place


@dataclass(frozen=True, kw_only=True)
class Door:
    """`known`: values that the service has for path parameters and bodies, where a made-up one would lead nowhere."""

    service: str
    method: str
    path: str
    operation: Mapping[str, Any]
    document: Mapping[str, Any] = field(repr=False)
    known: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def roles(self) -> list[str]:
        """Whoever has all of these may use all of it."""
        return list(self.operation["x-access"]["roles"])

    @property
    def media_types(self) -> list[str]:
        return list(self.operation.get("requestBody", {}).get("content", ()))

    @property
    def takes_json(self) -> bool:
        return JSON in self.media_types

    @property
    def streaming(self) -> bool:
        return bool(self.operation.get("x-streaming"))

    @property
    def answers_for_ever(self) -> bool:
        return any("text/event-stream" in answer.get("content", ()) for answer in self.operation["responses"].values())

    @property
    def writes(self) -> bool:
        return self.method not in {"GET", "HEAD"}

    @property
    def produces(self) -> set[str]:
        """Media types of its good answers."""
        good = (answer for code, answer in self.operation["responses"].items() if code.startswith("2"))
        return {kind for answer in good for kind in answer.get("content", ())}

    @property
    def whole(self) -> bool:
        """Whether its last parameter goes over slashes, and so takes any spelling."""
        return self.path == "/operations/dead-letters/{letter}"

    def methods_at(self, path: str) -> set[str]:
        """What this service does at a path, by whichever route."""
        found: set[str] = set()
        for template, operations in self.document["paths"].items():
            letters = ".*" if template.startswith("/operations/dead-letters/{") else "[^/]+"
            if re.fullmatch(re.sub(r"{[^}]*}", letters, template), path, re.DOTALL):
                found |= {method.upper() for method in operations}
        return found

    def parameters(self, where: str | None = None) -> list[Parameter]:
        return [
            Parameter(
                p["name"], p["in"], p.get("required", False), Place((p["name"],), tuple(self._options(p["schema"])))
            )
            for p in self.operation.get("parameters", ())
            if where in {None, p["in"]}
        ]

    def needs(self, header: str) -> bool:
        return any(parameter.name.lower() == header for parameter in self.parameters("header"))

    # A request that fits ----------------------------------------------------------------------------------------------

    def url(self, **replaced: str) -> str:
        """The path with its parameters, percent-encoded unless they are given."""
        path = self.path
        for parameter in self.parameters("path"):
            value = replaced.get(parameter.name) or quote(str(self.value_of(parameter)), safe="")
            path = re.sub(rf"{{{parameter.name}(:path)?}}", lambda _, value=value: value, path)
        return path

    def value_of(self, parameter: Parameter) -> Any:
        known = self.known.get(f"{self.path} {parameter.name}")
        if known is not None:
            return known
        if parameter.place.types == {"string"} and not parameter.place.enum and parameter.name == "id":
            return UNKNOWN_ID
        return self._example(parameter.place.schemas[0])

    def query(self) -> dict[str, str]:
        """What it cannot do without."""
        return {p.name: str(self.value_of(p)) for p in self.parameters("query") if p.required}

    def body(self) -> Any:
        """A JSON body with everything in it that can be; what fits the schema need not please the domain."""
        body = self._example(self.schema)
        known = self.known.get(str(self), {})
        return {**body, **copy.deepcopy(known)} if isinstance(body, dict) else body

    @property
    def schema(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.operation["requestBody"]["content"][JSON]["schema"]
        return found

    def places(self) -> list[Place]:
        """Every value in the body, outermost first."""
        return list(self._walk(self.schema, self.body(), ()))

    def _walk(self, schema: Mapping[str, Any], value: Any, pointer: tuple[str | int, ...]) -> Iterator[Place]:
        options = tuple(self._options(schema))
        yield Place(pointer, options)
        for option in options:
            if isinstance(value, dict):
                for name, inner in option.get("properties", {}).items():
                    if value.get(name) is not None:
                        yield from self._walk(inner, value[name], (*pointer, name))
                of_map = _of_map(option)
                if of_map is not None:
                    for name in value:
                        yield from self._walk(of_map, value[name], (*pointer, name))
            elif isinstance(value, list) and value and "items" in option:
                yield from self._walk(option["items"], value[0], (*pointer, 0))

    def _options(self, schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            yield from self._options(self.document["components"]["schemas"][name])
        elif "anyOf" in schema or "oneOf" in schema:
            for each in schema.get("anyOf") or schema["oneOf"]:
                yield from self._options(each)
        elif schema.get("type") != "null":
            yield schema

    def _example(self, schema: Mapping[str, Any]) -> Any:  # noqa: PLR0911 - one for each kind
        option = next(self._options(schema))
        if "enum" in option:
            return option["enum"][0]
        if "const" in option:
            return option["const"]
        match option.get("type"):
            case "object":
                made = {name: self._example(inner) for name, inner in option.get("properties", {}).items()}
                of_map = _of_map(option)
                if of_map is not None and not made:
                    made[_key(option)] = self._example(of_map)
                return made
            case "array":
                return [self._example(option["items"])] * max(1, option.get("minItems", 0))
            case "string":
                return _text(option)
            case "integer":
                return int(option.get("minimum", 1))
            case "number":
                return float(option.get("minimum", option.get("exclusiveMinimum", 0) + 1))
            case "boolean":
                return False
            case _:
                return "x"


def doors(service: str, document: Mapping[str, Any], known: Mapping[str, Any]) -> list[Door]:
    """Every operation of an OpenAPI document."""
    return [
        Door(service=service, method=method.upper(), path=path, operation=operation, document=document, known=known)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]


def put(body: Any, pointer: tuple[str | int, ...], value: Any) -> Any:
    """A copy of the body with this value there."""
    if not pointer:
        return value
    body = copy.deepcopy(body)
    inner = body
    for step in pointer[:-1]:
        inner = inner[step]
    inner[pointer[-1]] = value
    return body


def at(body: Any, pointer: tuple[str | int, ...]) -> Any:
    for step in pointer:
        body = body[step]
    return body


def _of_map(option: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema of a map's values, where it is one."""
    patterns = option.get("patternProperties")
    if patterns:
        found: Mapping[str, Any] = next(iter(patterns.values()))
        return found
    extra = option.get("additionalProperties")
    if isinstance(extra, Mapping):
        return extra
    return {} if extra is True else None


def _key(option: Mapping[str, Any]) -> str:
    pattern = next(iter(option.get("patternProperties", ())), option.get("propertyNames", {}).get("pattern"))
    return _fitting(pattern) if pattern else "key"


def _text(option: Mapping[str, Any]) -> str:
    match option.get("format"):
        case "date":
            return "2019-06-03"
        case "date-time":
            return "2019-06-03T09:30:00Z"
    if "pattern" in option:
        return _fitting(option["pattern"])
    return "x" * max(1, option.get("minLength", 1))


@cache
def _fitting(pattern: str) -> str:
    found: str = find(
        st.from_regex(pattern, alphabet=st.characters(codec="ascii")), lambda text: not text.endswith("\n")
    )
    return found
