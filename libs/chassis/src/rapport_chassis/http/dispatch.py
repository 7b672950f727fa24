"""From a path to its route in one step.

FastAPI's router asks each route of each included router twice, after eight layers of its own. It stays behind this for
what is no route of ours: the documentation, 404 and 405.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.routing import iter_route_contexts

from rapport_chassis.http.routes import Route

if TYPE_CHECKING:
    import re
    from collections.abc import Sequence

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send


class Dispatch:
    """Pure ASGI. The first route that fits answers, as with FastAPI; `otherwise` is FastAPI."""

    def __init__(self, otherwise: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._otherwise = otherwise
        self._routes: dict[str, list[tuple[re.Pattern[str], Route]]] = {}
        for context in iter_route_contexts(routes):
            route = context.original_route
            if isinstance(route, Route):
                for method in route.methods or ():
                    self._routes.setdefault(method, []).append((route.path_regex, route))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope.get("root_path"):
            for pattern, route in self._routes.get(scope["method"], ()):
                found = pattern.match(scope["path"])
                if found is not None:
                    scope["route"] = route
                    scope["path_params"] = {
                        name: route.param_convertors[name].convert(text) for name, text in found.groupdict().items()
                    }
                    answer = await route.answer(scope, receive)
                    await answer(scope, receive, send)
                    return
        await self._otherwise(scope, receive, send)
