"""A body as it may come in: not too long, not packed; JSON in UTF-8, not too deep, no key twice, nothing odd in it."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException, Request

from rapport_chassis.http.characters import UNWELCOME, WHY, is_half

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from starlette.types import Receive, Scope

    from rapport_chassis.access import Principal

MOST_BYTES = 1024 * 1024
MOST_DEPTH = 32
LONGEST_LINE = 64 * 1024
LONGEST_INTEGER = 20
STORED_INTEGERS = range(-(2**63), 2**63)


class StrictRequest(Request):
    """A request whose body has at most `most` bytes (None: any number), by its own word and by count.

    Its JSON is refused where two readers could understand it differently.
    """

    principal: Principal | None = None
    """Who sent it; nobody on public routes."""

    def __init__(self, scope: Scope, receive: Receive, most: int | None) -> None:
        super().__init__(scope, receive)
        self.most = most

    def check_headers(self, media_type: str | None) -> None:
        """Refuse before reading: HTTPException 400, 413, 415. `media_type`: what a body must be, None for anything."""
        length = self.headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise HTTPException(400, "Content-Length is no number")
        if self.most is not None and (len(length) > LONGEST_INTEGER or int(length) > self.most):
            raise self._too_long()
        if self.headers.get("content-encoding", "identity").lower() != "identity":
            raise HTTPException(415, "send the body without Content-Encoding", {"Accept-Encoding": "identity"})
        kinds = self.headers.getlist("content-type")
        has_body = length.strip("0") or "transfer-encoding" in self.headers or kinds
        if media_type is None or not has_body:
            return
        kind, _, parameters = (kinds[0] if len(kinds) == 1 else "").partition(";")
        charset = parameters.replace('"', "").replace(" ", "").lower()
        if kind.strip().lower() != media_type or charset not in {"", "charset=utf-8"}:
            raise HTTPException(415, f"send {media_type} in UTF-8", {"Accept": media_type})

    async def stream(self) -> AsyncGenerator[bytes, None]:
        count = 0
        async for chunk in super().stream():
            count += len(chunk)
            if self.most is not None and count > self.most:
                raise self._too_long()
            yield chunk

    async def json(self) -> Any:
        return parse(await self.body())

    def _too_long(self) -> HTTPException:
        return HTTPException(413, f"a body has at most {self.most} bytes")


class NoNumber(ValueError):
    """One that JSON has not, or that could not be stored."""


async def lines(request: Request, longest: int = LONGEST_LINE) -> AsyncIterator[tuple[int, bytes | None]]:
    """The lines of a streamed body, numbered from 1, without their ends; None for one of more than `longest` bytes."""
    number, rest, skipping = 1, b"", False
    async for chunk in request.stream():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield number, None if skipping or len(line) > longest else line.removesuffix(b"\r")
            number, skipping = number + 1, False
        if len(rest) > longest:
            rest, skipping = b"", True
    if rest or skipping:
        yield number, None if skipping else rest.removesuffix(b"\r")


def parse(body: bytes) -> Any:
    """The value of a JSON text. Raises HTTPException 400, or 422 for a value that is none of ours; it quotes nothing."""
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
    except NoNumber as error:
        raise HTTPException(422, str(error)) from None
    except json.JSONDecodeError as error:
        raise HTTPException(400, f"malformed JSON at line {error.lineno}, column {error.colno}") from None
    except ValueError as error:
        raise HTTPException(400, str(error)) from None
    _check_depth(value)
    if b"\\" in body or b"\x7f" in body or not body.isascii():  # otherwise JSON itself has kept them out
        _check_characters(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _constant(_: str) -> Any:
    raise NoNumber("NaN and Infinity are no JSON")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise NoNumber("a number is too large")
    return value


def _int(text: str) -> int:
    if len(text) > LONGEST_INTEGER or (number := int(text)) not in STORED_INTEGERS:
        raise NoNumber("a number is too large")
    return number


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


def _check_characters(value: Any) -> None:
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                found = UNWELCOME.search(text)
                if found is not None and is_half(found[0]):
                    raise HTTPException(400, "half a surrogate pair is no character")
                if found is not None:
                    raise HTTPException(422, WHY)
            case dict() as members:
                waiting += [*members, *members.values()]
            case list() as items:
                waiting += items


def _too_deep() -> str:
    return f"the JSON is nested deeper than {MOST_DEPTH}"
