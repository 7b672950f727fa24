"""The HTTP kit put on an app: routes, problems, limits, headers. A route added tomorrow inherits all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.middleware.exceptions import ExceptionMiddleware

from rapport_chassis.http import problems
from rapport_chassis.http.admission import Admission
from rapport_chassis.http.body import MOST_BYTES
from rapport_chassis.http.dispatch import Dispatch
from rapport_chassis.http.observed import Observed
from rapport_chassis.http.routes import assert_all_declared

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastapi import FastAPI
    from starlette.types import ASGIApp

    from rapport_chassis.http.routes import Routes

MOST_WRITES = 1_000

REQUIRED = frozenset({"if-match", "idempotency-key"})
"""Headers whose absence has an answer of its own, and which clients must send all the same."""


def install(
    app: FastAPI,
    routes: Iterable[Routes],
    errors: Mapping[type[Exception], int],
    *,
    body_limit: int = MOST_BYTES,
    writes: int = MOST_WRITES,
) -> None:
    """Raises UndeclaredAccess where a route does not say who may use it.

    `body_limit` is in bytes; `writes` may be under way at once.
    """
    app.state.body_limit = body_limit
    app.router.redirect_slashes = False  # one resource, one path
    problems.install(app, errors)
    for each in routes:
        app.include_router(each.router)
    _complete_openapi(app)
    assert_all_declared(app)
    whole = app.build_middleware_stack

    def layers() -> ASGIApp:
        inner = ExceptionMiddleware(Dispatch(whole(), app.routes), handlers=app.exception_handlers)
        return Observed(Admission(problems.Unexpected(inner), most=writes))

    app.build_middleware_stack = layers  # type: ignore[method-assign] # as `openapi` below


def _complete_openapi(app: FastAPI) -> None:
    """What FastAPI cannot know of: the problem, the token, and which headers are needed."""
    generate = app.openapi

    def complete() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = generate()
            components = schema.setdefault("components", {})
            components.setdefault("schemas", {})["Problem"] = problems.Problem.model_json_schema()
            components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
            _close_maps(components["schemas"])
            for operations in schema["paths"].values():
                for operation in operations.values():
                    _require_headers(operation.get("parameters", ()))
        return app.openapi_schema or {}

    app.openapi = complete  # type: ignore[method-assign] # as FastAPI's manual extends it


def _close_maps(schema: Any) -> None:
    """Pydantic says which keys a map takes, and not that it takes no others."""
    if isinstance(schema, dict):
        if "patternProperties" in schema:
            schema.setdefault("additionalProperties", False)
        for inner in schema.values():
            _close_maps(inner)
    elif isinstance(schema, list):
        for inner in schema:
            _close_maps(inner)


def _require_headers(parameters: Iterable[dict[str, Any]]) -> None:
    for parameter in parameters:
        if parameter["in"] == "header" and parameter["name"].lower() in REQUIRED:
            parameter["required"] = True
            parameter["schema"] = {"type": "string"}
