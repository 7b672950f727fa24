"""docs/access.md: who may use which route and reaches which object, as the routes and the rules themselves say it."""

import inspect
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from types import FunctionType, ModuleType

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

● stands for everyone with the role, ○ for those alone whose token is bound to no region (claim `region`).

A token may hold several roles. `collector` is the identity of a survey's front end, a machine.

Not in the tables: `/livez`, `/readyz`, `/metrics` and `/status`, which every process serves on its private port
(`RAPPORT_PRIVATE_PORT`), never to be published; and `/docs` and `/openapi.json`, which describe the API to anyone
unless `RAPPORT_HTTP_DOCUMENTATION` is off.
"""


OBJECTS = """\
## What a role sees of an object

Beyond the route it is the object that decides. The rules of a service are in its `rights.py`; its `store.py` lays them
under all that a use case reads and writes for somebody, so a new route and a new use case have them. What is out of
reach is not there: it is answered as what does not exist (404), and it is in no list, page or count. What would be
written out of reach is refused (403, `out-of-reach`). What a service does on its own account, on events and by the
clock, no rule binds. A service that is not named here keeps nothing that is for some of its readers only.
"""


def access_page(house: House) -> str:
    """The whole page. Raises UndeclaredAccess; ValueError for a role that does not exist."""
    lines = [GENERATED, *HEAD.splitlines(), ""]
    for service in house.services:
        rows = [_row(method, path, access) for method, path, access in declared_access(app_of(service))]
        lines += [f"## {service.name}", "", *table(("route", *ROLES, "public"), rows)]
    lines += OBJECTS.splitlines()
    for service in house.services:
        lines += _rules(service.name)
    return "\n".join(lines).rstrip() + "\n"


def _rules(service: str) -> Iterator[str]:
    """What a service's rules say of themselves, each in a point of a list."""
    if find_spec(f"{service}.rights") is None:
        return
    yield from ("", f"### {service}", "")
    for rule in _rules_in(import_module(f"{service}.rights")):
        yield "- " + " ".join((inspect.getdoc(rule) or "").split())


def _rules_in(rights: ModuleType) -> list[FunctionType]:
    """In the order in which they stand there."""
    return [each for each in vars(rights).values() if isinstance(each, FunctionType)]


def _row(method: str, path: str, access: Access) -> Iterator[str]:
    unknown = access.roles.difference(ROLES)
    if unknown:
        raise ValueError(f"{method} {path} names roles that do not exist: {', '.join(sorted(unknown))}")
    yield f"`{method} {path}`"
    mark = "●" if access.regional else "○"
    yield from (mark if role in access.roles else "" for role in ROLES)
    yield access.reason or ""
