"""Routes that cannot be forgotten to be closed: access is declared with the route, or there is no route.

The token is looked at before anything else of the request, so that nobody learns from an error what only others may.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.routing import APIRoute, iter_route_contexts

from rapport_chassis.access import Forbidden, Principal, Unauthenticated
from rapport_chassis.http.body import StrictRequest
from rapport_chassis.http.preconditions import unless_known
from rapport_chassis.http.problems import documented

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

Endpoint = Callable[..., Any]

DOCUMENTED = {
    400: "Malformed",
    401: "No good token",
    403: "The token's roles are not enough",
    413: "Too large",
    415: "Another media type",
    422: "Understood, and wrong",
    503: "Not now; see Retry-After",
}


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use a route: anyone with one of the roles, or the public, for a reason."""

    roles: frozenset[str] = frozenset()
    reason: str | None = None

    def check(self, principal: Principal) -> None:
        """Raises Forbidden."""
        if not self.roles & principal.roles:
            raise Forbidden(f"this needs one of the roles {', '.join(sorted(self.roles))}")


def allow(*roles: str) -> Access:
    """For whoever has one of these roles."""
    if not roles:
        raise ValueError("name at least one role")
    return Access(frozenset(roles))


def public(reason: str) -> Access:
    """For everybody, without a token; say why."""
    return Access(reason=reason)


class UndeclaredAccess(Exception):
    """A route of which nobody has said who may use it: the service does not start."""


class _Route(APIRoute):
    def __init__(self, path: str, endpoint: Endpoint, **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.access = _read(self.openapi_extra)
        self.streaming = bool((self.openapi_extra or {}).get("x-streaming"))

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def closed(request: Request) -> Response:
            access = _read(self.openapi_extra)
            if access is None:
                raise UndeclaredAccess(self.path)
            if access.roles:
                principal = await request.app.state.verifier.verify(_token(request))
                access.check(principal)
                request.state.principal = principal
            strict = StrictRequest(
                request.scope, request.receive, None if self.streaming else request.app.state.body_limit
            )
            strict.check_headers("application/json" if self.body_field is not None else None)
            return unless_known(strict, await handle(strict))

        return closed


class Routes:
    """Some routes of a service; every one says who may use it, and what it shows."""

    def __init__(self, prefix: str = "", tags: list[str] | None = None) -> None:
        self.router = APIRouter(prefix=prefix, tags=list(tags or []), route_class=_Route)

    def get(self, path: str, *, access: Access, view: Any = None, **options: Any) -> Callable[[Endpoint], Endpoint]:
        return self._add("GET", path, access, view, **options)

    def post(self, path: str, *, access: Access, view: Any = None, **options: Any) -> Callable[[Endpoint], Endpoint]:
        return self._add("POST", path, access, view, **{"status": 201, **options})

    def put(self, path: str, *, access: Access, view: Any = None, **options: Any) -> Callable[[Endpoint], Endpoint]:
        return self._add("PUT", path, access, view, **options)

    def patch(self, path: str, *, access: Access, view: Any = None, **options: Any) -> Callable[[Endpoint], Endpoint]:
        return self._add("PATCH", path, access, view, **options)

    def delete(self, path: str, *, access: Access, view: Any = None, **options: Any) -> Callable[[Endpoint], Endpoint]:
        return self._add("DELETE", path, access, view, **options)

    def _add(
        self,
        method: str,
        path: str,
        access: Access,
        view: Any,
        *,
        status: int = 200,
        streaming: bool = False,
        problems: tuple[int, ...] = (),
        **options: Any,
    ) -> Callable[[Endpoint], Endpoint]:
        declared: dict[str, Any] = {"x-access": {"roles": sorted(access.roles), "public": access.reason}}
        if access.roles:
            declared["security"] = [{"bearer": []}]
        declared |= options.pop("openapi_extra", {})
        codes = {code: text for code, text in DOCUMENTED.items() if access.roles or code not in {401, 403}}
        codes |= dict.fromkeys(problems, "See the problem's type")
        if streaming:  # the body may be of any length: whoever reads it caps each line
            declared["x-streaming"] = True
        return self.router.api_route(
            path,
            methods=[method],
            response_model=view,
            status_code=status,
            openapi_extra=declared,
            responses={code: documented(text) for code, text in sorted(codes.items())},
            **options,
        )


def declared_access(app: FastAPI) -> Iterator[tuple[str, str, Access]]:
    """(method, path, access) of every route. Raises UndeclaredAccess."""
    for route in _routes(app):
        access = _read(route.openapi_extra)
        if access is None:
            raise UndeclaredAccess(f"{route.path} does not declare who may use it")
        for method in sorted(route.methods or ()):
            yield method, route.path, access


def assert_all_declared(app: FastAPI) -> None:
    """Raises UndeclaredAccess: called at start, so that a forgotten declaration never serves a request."""
    list(declared_access(app))


def _routes(app: FastAPI) -> Iterator[Any]:
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute):
            yield route
        elif getattr(route, "path", None) not in {
            app.docs_url,
            app.redoc_url,
            app.openapi_url,
            app.swagger_ui_oauth2_redirect_url,
        }:
            raise UndeclaredAccess(f"{getattr(route, 'path', route)} is not a route that declares its access")


def _read(extra: dict[str, Any] | None) -> Access | None:
    found = (extra or {}).get("x-access")
    return Access(frozenset(found["roles"]), found["public"]) if found else None


def _token(request: Request) -> str:
    if "access_token" in request.query_params:
        raise Unauthenticated("a token belongs in the Authorization header, for URLs end in logs")
    found = request.headers.getlist("authorization")
    if not found:
        raise Unauthenticated
    if len(found) > 1:
        raise Unauthenticated("one Authorization header, please")
    scheme, _, token = found[0].partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated
    return token.strip()
