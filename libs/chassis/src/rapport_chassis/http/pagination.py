"""Pages by cursor: stable while others write, and cheap however far one goes."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from fastapi import HTTPException, Query
from pydantic import BaseModel
from pydantic_core import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

T = TypeVar("T")

LONGEST_CURSOR = 1_024
STORED_INTEGERS = range(-(2**63), 2**63)

Limit = Annotated[int, Query(ge=1, le=200, description="How many at most")]
CursorParameter = Annotated[str | None, Query(max_length=LONGEST_CURSOR, description="`next` of the page before")]


class Page(BaseModel, Generic[T]):
    """Some of a list. `next` is the cursor of the page behind it, null on the last."""

    items: list[T]
    next: str | None = None


def cursor_of(place: Sequence[Any], filters: Mapping[str, Any]) -> str:
    """An opaque cursor to go on behind `place` of the list that these filters give."""
    return urlsafe_b64encode(to_json([list(place), _list(filters)])).rstrip(b"=").decode()


def place_of(cursor: str | None, filters: Mapping[str, Any], length: int) -> tuple[Any, ...] | None:
    """Where to go on, None for the beginning. HTTPException 400 for a cursor that is not of this list."""
    if cursor is None:
        return None
    try:
        place, mark = from_json(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if mark != _list(filters) or len(place) != length or not all(map(_sortable, place)):
            place = None
    except (ValueError, TypeError):
        place = None
    if place is None:
        raise HTTPException(400, "the cursor is not one of this list: begin without it")
    return tuple(place)


def _sortable(value: Any) -> bool:
    return isinstance(value, str) or (type(value) is int and value in STORED_INTEGERS)


def _list(filters: Mapping[str, Any]) -> str:
    return hashlib.sha256(to_json(dict(sorted(filters.items())))).hexdigest()[:12]
