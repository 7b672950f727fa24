"""docs/security.md: what is proved of the catalogue of bad input, bad tokens and rights, by which tests, and what is not.

What was proved is in docs/security.json, which a run of the tests writes (`make security`).
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from rapport_chassis.http.routes import declared_access

from rapport_cli.commands.token import ROLES
from rapport_cli.documents.distributions import CHECKOUT
from rapport_cli.documents.house import House, app_of
from rapport_cli.documents.markdown import GENERATED, table

PROVED = CHECKOUT / "docs" / "security.json"

HEAD = """\
# Closed doors

What comes in from outside, and what keeps it from doing harm. [SECURITY.md](../SECURITY.md) tells how to report a
weakness. Each row below was tried by the tests named beside it, when `make security` ran last; most of them are made
from what the services publish, so a route that is added is tried without anybody thinking of it.
"""

KINDS = {"B": "Bad input", "A": "Tokens", "Z": "Who may do what"}


def security_page(house: House) -> str:
    """The whole page. Raises FileNotFoundError where no run of the tests has told what it proved."""
    rows: list[dict[str, Any]] = json.loads(PROVED.read_text(encoding="utf-8"))
    lines = [GENERATED, *HEAD.splitlines(), "", "## In short", ""]
    lines += table(
        ("catalogue", "rows", "held", "failed", "not covered"), (_sum(kind, _of(rows, kind)) for kind in KINDS)
    )
    lines += ["## Not covered", ""]
    lines += table(("row", "what", "why"), _open(rows))
    for kind, title in KINDS.items():
        lines += [f"## {title}", ""]
        covered = [row for row in _of(rows, kind) if row["tests"]]
        lines += table(("row", "what", "cases", "result", "tests"), (_row(row) for row in covered))
    lines += ["## Roles and routes", "", "How many routes of each service a role opens, of how many; "]
    lines[-1] += "[docs/access.md](access.md) has every route."
    lines += ["", *table(("service", "routes", *ROLES), _roles(house))]
    return "\n".join(lines).rstrip() + "\n"


def _of(rows: Iterable[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["row"].startswith(kind)]


def _sum(kind: str, rows: list[dict[str, Any]]) -> tuple[str, ...]:
    found = Counter(_result(row) for row in rows)
    return KINDS[kind], *map(str, (len(rows), found["held"], found["FAILED"], found["not covered"]))


def _result(row: dict[str, Any]) -> str:
    if not row["tests"]:
        return "not covered"
    return "FAILED" if any(test["failed"] for test in row["tests"].values()) else "held"


def _open(rows: Iterable[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        if not row["tests"]:
            yield row["row"], row["what"], row["waits"] or "nobody has looked yet"


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    cases = sum(test["passed"] + test["failed"] for test in row["tests"].values())
    files = sorted({test.partition("::")[0] for test in row["tests"]})
    return row["row"], row["what"], str(cases), _result(row), ", ".join(f"[{_name(f)}](../{f})" for f in files)


def _name(file: str) -> str:
    """Such as "test_wire"."""
    return file.rpartition("/")[2].removesuffix(".py")


def _roles(house: House) -> Iterator[tuple[str, ...]]:
    for service in house.services:
        routes = [access for _, _, access in declared_access(app_of(service))]
        opened = (sum(role in access.roles or bool(access.reason) for access in routes) for role in ROLES)
        yield service.name, str(len(routes)), *map(str, opened)
