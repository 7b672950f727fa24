"""RFC 9457: every error is `application/problem+json`, says what to do, and nothing of what is inside."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException

from rapport_chassis.access import Forbidden, Unauthenticated
from rapport_chassis.committer import TooLarge
from rapport_chassis.errors import Conflict, PreconditionFailed, Unavailable
from rapport_chassis.http.idempotency import IdempotencyReused
from rapport_chassis.journal import EventTooLarge
from rapport_chassis.keyring import KeyringUnavailable, SubjectErased

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastapi import FastAPI, Request

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

OWN_ERRORS: dict[type[Exception], int] = {
    Conflict: 409,
    PreconditionFailed: 412,
    IdempotencyReused: 422,
    EventTooLarge: 413,
    TooLarge: 413,
    SubjectErased: 410,
    Forbidden: 403,
}


class Problem(BaseModel):
    """An error as RFC 9457 has it; `errors` lists the fields of a request that are wrong (JSON pointers, RFC 6901)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    errors: list[dict[str, str]] | None = Field(default=None, description="[{pointer, detail}]")


class ProblemResponse(JSONResponse):
    media_type = MEDIA_TYPE


def problem(
    status: int,
    detail: str | None = None,
    *,
    slug: str | None = None,
    headers: Mapping[str, str] | None = None,
    errors: list[dict[str, str]] | None = None,
) -> ProblemResponse:
    """The answer to what went wrong; `slug` names the kind of problem, without one the status says it all."""
    title = slug.replace("-", " ").capitalize() if slug else HTTPStatus(status).phrase
    content = Problem(type=_type(slug), title=title, status=status, detail=detail, errors=errors)
    return ProblemResponse(content.model_dump(exclude_none=True), status_code=status, headers=dict(headers or {}))


def problem_of(error: Exception) -> dict[str, Any]:
    """A row's error in an import's answer: type, title, detail and the fields that are wrong."""
    slug = slug_of(type(error))
    found: dict[str, Any] = {"type": _type(slug), "title": slug.replace("-", " ").capitalize()}
    if isinstance(error, ValidationError):
        found["errors"] = pointers(error.errors(include_url=False, include_input=False, include_context=False))
    else:
        found["detail"] = str(error)
    return found


def slug_of(kind: type[Exception]) -> str:
    """StakeholderNotFound -> stakeholder-not-found."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()


def pointers(errors: Iterable[Any]) -> list[dict[str, str]]:
    """Pydantic's errors as JSON pointers and words; never the value, which may be personal."""
    return [
        {
            "pointer": "/" + "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in error["loc"]),
            "detail": error["msg"] if error["type"] != "value_error" else error["msg"].removeprefix("Value error, "),
        }
        for error in errors
    ]


def install(app: FastAPI, errors: Mapping[type[Exception], int]) -> None:
    """Answer every error of this app as a problem; `errors` are the domain's: exception -> status."""

    async def declared(_: Request, error: Exception) -> ProblemResponse:
        table = {**OWN_ERRORS, **errors}
        kind = next(kind for kind in type(error).__mro__ if kind in table)
        return problem(table[kind], str(error), slug=slug_of(kind))

    async def http(_: Request, error: Exception) -> ProblemResponse:
        if not isinstance(error, HTTPException):
            raise error
        detail = error.detail if error.detail != HTTPStatus(error.status_code).phrase else None
        return problem(error.status_code, detail, headers=error.headers)

    async def invalid(_: Request, error: Exception) -> ProblemResponse:
        found = error.errors() if isinstance(error, RequestValidationError | ValidationError) else []
        return problem(422, "the request does not fit; see errors", slug="invalid-request", errors=pointers(found))

    async def unauthenticated(_: Request, error: Exception) -> ProblemResponse:
        reason = getattr(error, "reason", None)
        challenge = f'Bearer error="invalid_token", error_description="{reason}"' if reason else "Bearer"
        return problem(401, str(error), headers={"WWW-Authenticate": challenge})

    async def unavailable(_: Request, error: Exception) -> ProblemResponse:
        seconds = error.retry_after if isinstance(error, Unavailable) else 2
        return problem(503, str(error), slug="unavailable", headers={"Retry-After": str(seconds)})

    async def unexpected(request: Request, error: Exception) -> ProblemResponse:
        route = getattr(request.scope.get("route"), "path", None)
        log.error("request failed", route=route, exc_info=error)
        return problem(500, "this is our fault; it has been noted")

    for kind in (*OWN_ERRORS, *errors):
        app.add_exception_handler(kind, declared)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Unauthenticated, unauthenticated)
    app.add_exception_handler(Unavailable, unavailable)
    app.add_exception_handler(KeyringUnavailable, unavailable)
    app.add_exception_handler(Exception, unexpected)


def _type(slug: str | None) -> str:
    return f"urn:rapport:problem:{slug}" if slug else "about:blank"
