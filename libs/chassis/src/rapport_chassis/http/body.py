"""JSON as it may come in: UTF-8, not too deep, no key twice, no number that is none."""

from __future__ import annotations

import json
import math
from typing import Any

from fastapi import HTTPException, Request

MOST_DEPTH = 32
LONGEST_INTEGER = 19


class StrictRequest(Request):
    """A request whose JSON is refused where two readers could understand it differently."""

    async def json(self) -> Any:
        return parse(await self.body())


def parse(body: bytes) -> Any:
    """The value of a JSON text. Raises HTTPException 400, which says what is wrong and quotes nothing."""
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_int,
        )
    except UnicodeDecodeError:
        raise HTTPException(400, "the body is not UTF-8") from None
    except RecursionError:
        raise HTTPException(400, _too_deep()) from None
    except json.JSONDecodeError as error:
        raise HTTPException(400, f"malformed JSON at line {error.lineno}, column {error.colno}") from None
    except ValueError as error:
        raise HTTPException(400, str(error)) from None
    _check_depth(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _constant(_: str) -> Any:
    raise ValueError("NaN and Infinity are no JSON")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _int(text: str) -> int:
    if len(text) > LONGEST_INTEGER:
        raise ValueError("a number is too large")
    return int(text)


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MOST_DEPTH + 1):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    raise HTTPException(400, _too_deep())


def _too_deep() -> str:
    return f"the JSON is nested deeper than {MOST_DEPTH}"
