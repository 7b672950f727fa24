"""Routes that cannot be forgotten to be closed: access is declared with the route, or there is no route.

The token is looked at before anything else of the request, so that nobody learns from an error what only others may.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.routing import APIRoute, iter_route_contexts

from rapport_chassis.access import Forbidden, Principal, Unauthenticated
from rapport_chassis.http.address import Address
from rapport_chassis.http.body import StrictRequest
from rapport_chassis.http.endpoint import Endpoint
from rapport_chassis.http.preconditions import unless_known
from rapport_chassis.http.problems import documented

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from starlette.types import Receive, Scope

Declared = Callable[[Callable[..., Any]], Callable[..., Any]]
"""What `@routes.get(...)` gives."""

DOCUMENTED = {
    400: "Malformed",
    401: "No good token",
    403: "The token's roles are not enough",
    413: "Too large",
    414: "Too long an address",
    415: "Another media type",
    422: "Understood, and wrong",
    429: "More than a limit allows; see Retry-After",
    503: "Not now; see Retry-After",
}


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use a route: anyone with one of the roles, or the public, for a reason."""

    roles: frozenset[str] = frozenset()
    reason: str | None = None
    regional: bool = True
    """Whether tokens that are bound to a region may use it as well."""

    def check(self, principal: Principal) -> None:
        """Raises Forbidden."""
        if not self.roles & principal.roles:
            raise Forbidden(f"this needs one of the roles {', '.join(sorted(self.roles))}")
        if principal.region is not None and not self.regional:
            raise Forbidden("this is about all regions, and the token is bound to one")


def allow(*roles: str, regional: bool = True) -> Access:
    """For whoever has one of these roles. Not `regional`: and a token that is bound to no region."""
    if not roles:
        raise ValueError("name at least one role")
    return Access(frozenset(roles), regional=regional)


def public(reason: str) -> Access:
    """For everybody, without a token; say why."""
    return Access(reason=reason)


class UndeclaredAccess(Exception):
    """A route of which nobody has said who may use it: the service does not start."""


class Route(APIRoute):
    """FastAPI's route with its access, and with a short way to its endpoint."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.access = _read(self.openapi_extra)
        self.limit = (self.openapi_extra or {}).get("x-limit", "writes")
        self._endpoint = Endpoint(self)
        self._streaming = bool((self.openapi_extra or {}).get("x-streaming"))
        self._media_type = "application/json" if self.body_field is not None else None
        self._unread = self.body_field is None and not self._streaming
        self._address = Address(self.dependant, whole=":path}" in path)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        async def handle(request: Request) -> Response:
            return await self.answer(request.scope, request.receive)

        return handle

    async def answer(self, scope: Scope, receive: Receive) -> Response:
        """The answer to a request that is for this route. Raises what the app's handlers know how to tell."""
        state = scope["app"].state
        request = StrictRequest(scope, receive, None if self._streaming else state.body_limit)
        if self.access is None:
            raise UndeclaredAccess(self.path)
        allowances = getattr(state, "allowances", None)
        principal = None
        if self.access.roles:
            try:
                principal = request.principal = await state.verifier.verify(_token(request))
            except Unauthenticated as refused:
                if allowances is not None and refused.reason is not None:
                    await allowances.take("bad-tokens", network_of(scope))
                raise
        if allowances is not None:
            await allowances.take(self.limit, principal.subject if principal else network_of(scope))
        if principal is not None:
            self.access.check(principal)
        self._address.check(scope)
        request.check_headers(self._media_type)
        if self._unread and request.method != "GET":
            await request.body()  # a request that breaks off in a body nobody wants has done nothing
        return unless_known(request, await self._endpoint(request))


class Routes:
    """Some routes of a service; every one says who may use it, and what it shows."""

    def __init__(self, prefix: str = "", tags: list[str] | None = None) -> None:
        self.router = APIRouter(prefix=prefix, tags=list(tags or []), route_class=Route)

    def get(self, path: str, *, access: Access, view: Any = None, **options: Any) -> Declared:
        return self._add("GET", path, access, view, **options)

    def post(self, path: str, *, access: Access, view: Any = None, **options: Any) -> Declared:
        return self._add("POST", path, access, view, **{"status": 201, **options})

    def put(self, path: str, *, access: Access, view: Any = None, **options: Any) -> Declared:
        return self._add("PUT", path, access, view, **options)

    def patch(self, path: str, *, access: Access, view: Any = None, **options: Any) -> Declared:
        return self._add("PATCH", path, access, view, **options)

    def delete(self, path: str, *, access: Access, view: Any = None, **options: Any) -> Declared:
        return self._add("DELETE", path, access, view, **options)

    def _add(
        self,
        method: str,
        path: str,
        access: Access,
        view: Any,
        *,
        status: int = 200,
        limit: str | None = None,
        streaming: bool = False,
        problems: tuple[int, ...] = (),
        **options: Any,
    ) -> Declared:
        declared: dict[str, Any] = {
            "x-access": {"roles": sorted(access.roles), "public": access.reason, "regional": access.regional},
            "x-limit": limit or ("reads" if method == "GET" else "writes"),
        }
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
    return Access(frozenset(found["roles"]), found["public"], found["regional"]) if found else None


def network_of(scope: Scope) -> str:
    """The address at the other end of the connection; of IPv6 its /64, within which whoever has one address has them all.

    What headers say of it (X-Forwarded-For) anybody can say.
    """
    client = scope.get("client")
    try:
        address = ip_address(client[0] if client else "")
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(ip_network((address, 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)


def _token(request: Request) -> str:
    if request.scope["query_string"] and "access_token" in request.query_params:
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
