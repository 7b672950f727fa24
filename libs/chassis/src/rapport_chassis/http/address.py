"""An address as it may come in: not too long, one spelling, no odd characters, every parameter known and there once."""

from __future__ import annotations

import re
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin
from urllib.parse import parse_qsl

from fastapi import HTTPException
from fastapi.exceptions import RequestValidationError

from rapport_chassis.http.body import STORED_INTEGERS
from rapport_chassis.http.characters import UNWELCOME, WHY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi._compat import ModelField
    from fastapi.dependencies.models import Dependant
    from starlette.types import Scope

MOST_BYTES = 8_192
"""Of a path, and of a query; RFC 9110, section 4.1, asks for as many of an address."""

LONGEST_PART = 300
"""Characters of a parameter in a path: longer than any name here, whatever its route says of it."""

SLASH = re.compile(rb"%(2f|5c)", re.IGNORECASE)
ODD = re.compile(f"[\t\n\r\ufffd]|{UNWELCOME.pattern}")
"""In an address there are no lines; U+FFFD stands where something was no UTF-8."""


class Address:
    """What the route with these parameters takes. `whole`: its last parameter goes over slashes."""

    def __init__(self, dependant: Dependant, *, whole: bool) -> None:
        every = list(_every(dependant))
        self._whole = whole
        self._known = {field.alias: _kinds(field) for each in every for field in each.query_params}
        self._numbers = [field.alias for each in every for field in each.path_params if int in _kinds(field)]

    def check(self, scope: Scope) -> None:
        """Raises HTTPException 404, 414; RequestValidationError where a parameter is wrong. Nothing to do for most."""
        raw, query = scope.get("raw_path") or b"", scope["query_string"]
        if not query and not self._numbers and b"%" not in raw and len(raw) <= LONGEST_PART:
            return
        if len(raw) > MOST_BYTES or len(query) > MOST_BYTES:
            raise HTTPException(414, f"a path and a query have at most {MOST_BYTES} bytes each")
        if not self._whole and SLASH.search(raw):
            raise HTTPException(404)
        errors = [
            {"type": "value_error", "loc": (where, name), "msg": why}
            for where, found in (("path", self._path(scope)), ("query", self._query(query)))
            for name, why in found
        ]
        if errors:
            raise RequestValidationError(errors)

    def _path(self, scope: Scope) -> Iterator[tuple[str, str]]:
        for name, value in scope["path_params"].items():
            if ODD.search(str(value)):
                yield name, WHY
            elif len(str(value)) > LONGEST_PART:
                yield name, f"at most {LONGEST_PART} characters"
            elif name in self._numbers and _too_large(str(value)):
                yield name, "a number is too large"

    def _query(self, query: bytes) -> Iterator[tuple[str, str]]:
        seen = set()
        for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
            kinds = self._known.get(name)
            if kinds is None:
                yield name, "there is no such parameter"
            elif name in seen and not kinds & {list, tuple, set, frozenset}:
                yield name, "stands there twice"
            elif ODD.search(value):
                yield name, WHY
            elif int in kinds and _too_large(value):
                yield name, "a number is too large"
            seen.add(name)


def _every(dependant: Dependant) -> Iterator[Dependant]:
    """It, and what it depends on."""
    yield dependant
    for each in dependant.dependencies:
        yield from _every(each)


def _kinds(field: ModelField) -> set[Any]:
    """The types a parameter may have: `list[int] | None` is a list, or nothing."""
    annotation = field.field_info.annotation
    parts = get_args(annotation) if get_origin(annotation) in {Union, UnionType} else (annotation,)
    return {get_origin(part) or part for part in parts}


def _too_large(text: str) -> bool:
    """What is no number at all is for the parameter's own type to say."""
    if not text.removeprefix("-").isdigit():
        return False
    return len(text) > len(str(STORED_INTEGERS.start)) or int(text) not in STORED_INTEGERS
