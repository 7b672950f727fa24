"""docs/access.md: who may use which route, as the routes themselves declare it."""

from collections.abc import Iterator

from rapport_chassis.http.routes import Access, declared_access

from rapport_cli.commands.token import ROLES
from rapport_cli.documents.house import House, app_of
from rapport_cli.documents.markdown import GENERATED, table

HEAD = """\
# Who may use which route

Every route declares its access with the route itself; a service with a route that does not is refused at start, so
what is not in a table below cannot be reached by anyone. Access is denied unless the caller's token holds one of the
roles marked in the row: no token, or one that is not good, is answered 401, a good one without such a role 403, both
before anything else of the request is looked at. Tokens are access tokens of the OpenID Connect issuer named by
`RAPPORT_OIDC_ISSUER`; their roles are in the claim named by `RAPPORT_OIDC_ROLES_CLAIM`.

A token may hold several roles. `collector` is the identity of a survey's front end, a machine.

Not in the tables: `/livez`, `/readyz`, `/metrics` and `/status`, which every process serves on its private port
(`RAPPORT_PRIVATE_PORT`), never to be published; and `/docs` and `/openapi.json`, which describe the API to anyone
unless `RAPPORT_HTTP_DOCUMENTATION` is off.
"""


def access_page(house: House) -> str:
    """The whole page. Raises UndeclaredAccess; ValueError for a role that does not exist."""
    lines = [GENERATED, *HEAD.splitlines(), ""]
    for service in house.services:
        rows = [_row(method, path, access) for method, path, access in declared_access(app_of(service))]
        lines += [f"## {service.name}", "", *table(("route", *ROLES, "public"), rows)]
    return "\n".join(lines).rstrip() + "\n"


def _row(method: str, path: str, access: Access) -> Iterator[str]:
    unknown = access.roles.difference(ROLES)
    if unknown:
        raise ValueError(f"{method} {path} names roles that do not exist: {', '.join(sorted(unknown))}")
    yield f"`{method} {path}`"
    yield from ("●" if role in access.roles else "" for role in ROLES)
    yield access.reason or ""
