"""What a service's `api.py` needs to speak HTTP as every other service does."""

from typing import Annotated, Any

from fastapi import Depends, Response

from rapport_chassis.access import Principal
from rapport_chassis.http.body import lines
from rapport_chassis.http.idempotency import IdempotencyKey
from rapport_chassis.http.pagination import CursorParameter, Limit, Page, cursor_of, place_of
from rapport_chassis.http.preconditions import IfMatch
from rapport_chassis.http.problems import problem_of
from rapport_chassis.http.routes import Access, Routes, allow, public
from rapport_chassis.http.run import Each as _Each
from rapport_chassis.http.run import Outcome, Runner, each, principal, query, run
from rapport_chassis.http.run import Query as _Query
from rapport_chassis.http.run import Run as _Run

Run = Annotated[_Run, Depends(run)]
Query = Annotated[_Query, Depends(query)]
RunEach = Annotated[_Each, Depends(each)]
Caller = Annotated[Principal, Depends(principal)]
"""Who calls; on a public route nobody does."""

__all__ = [
    "Access",
    "Any",
    "Caller",
    "CursorParameter",
    "IdempotencyKey",
    "IfMatch",
    "Limit",
    "Outcome",
    "Page",
    "Query",
    "Response",
    "Routes",
    "Run",
    "RunEach",
    "Runner",
    "allow",
    "cursor_of",
    "lines",
    "place_of",
    "problem_of",
    "public",
]
