"""Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a request repeated is a request done once."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Header, HTTPException

if TYPE_CHECKING:
    from fastapi import Request

KEY = re.compile(r"[\x21-\x7e]{1,128}")
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class IdempotencyReused(Exception):
    """The key was used for another request: 422."""


def key_of(request: Request) -> str | None:
    """The request's key, None without one. Raises HTTPException 400 for one that is malformed."""
    key = request.headers.get("idempotency-key")
    if key is None or request.method in SAFE:
        return None
    if not KEY.fullmatch(key):
        raise HTTPException(400, "Idempotency-Key must be 1 to 128 visible ASCII characters")
    return key


def fingerprint(method: str, path: str, body: bytes) -> str:
    """What tells one request from another under the same key."""
    return hashlib.sha256(b"\x00".join((method.encode(), path.encode(), body))).hexdigest()


async def _required(
    idempotency_key: Annotated[
        str | None, Header(description="1 to 128 visible ASCII characters, new for each new request")
    ] = None,
) -> str:
    if idempotency_key is None:
        raise HTTPException(400, "send an Idempotency-Key, so that this request can be repeated safely")
    return idempotency_key


IdempotencyKey = Annotated[str, Depends(_required)]
"""Declares that a route needs the header; `run` does the rest."""
