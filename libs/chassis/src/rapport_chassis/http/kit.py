"""The HTTP kit put on an app: routes, problems, limits, headers. A route added tomorrow inherits all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapport_chassis.http import problems
from rapport_chassis.http.observed import Observed
from rapport_chassis.http.routes import assert_all_declared

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastapi import FastAPI

    from rapport_chassis.http.routes import Routes


def install(app: FastAPI, routes: Iterable[Routes], errors: Mapping[type[Exception], int]) -> None:
    """Raises UndeclaredAccess where a route does not say who may use it."""
    problems.install(app, errors)
    for each in routes:
        app.include_router(each.router)
    app.add_middleware(Observed)
    assert_all_declared(app)
