"""All generated documents together: what they should be, what differs, and writing them."""

import difflib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from rapport_cli.documents.access import access_page
from rapport_cli.documents.asyncapi import asyncapi_document
from rapport_cli.documents.distributions import CHECKOUT
from rapport_cli.documents.events import events_page
from rapport_cli.documents.house import House
from rapport_cli.documents.licences import licences_page
from rapport_cli.documents.machines import machines_page, principals_document
from rapport_cli.documents.openapi import openapi_document
from rapport_cli.documents.security import security_page

DOCS = CHECKOUT / "docs"

FOLDERS = ("asyncapi", "openapi")
"""Folders that hold nothing but generated documents."""

LINES_SHOWN = 20


def generate(house: House) -> dict[str, str]:
    """Text by path below `docs`."""
    return {
        "events.md": events_page(house),
        "access.md": access_page(house),
        "licences.md": licences_page(),
        "security.md": security_page(house),
        "machines.md": machines_page(house),
        "../deploy/principals.json": principals_document(house),
        **{f"asyncapi/{service.name}.yaml": asyncapi_document(service, house) for service in house.services},
        **{f"openapi/{service.name}.json": openapi_document(service) for service in house.services},
    }


def differences(wanted: dict[str, str], docs: Path = DOCS) -> Iterator[str]:
    """Every document that is not as it should be, with the first lines in which it departs."""
    for name, text in wanted.items():
        path = docs / name
        found = path.read_text(encoding="utf-8") if path.is_file() else ""
        if found != text:
            lines = difflib.unified_diff(
                found.splitlines(), text.splitlines(), f"docs/{name}", f"docs/{name} (as the code is)", "", "", 1, ""
            )
            yield "\n".join(islice(lines, LINES_SHOWN))
    for path in _left_over(wanted, docs):
        yield f"docs/{path.relative_to(docs).as_posix()} belongs to no service"


def write(wanted: dict[str, str], docs: Path = DOCS) -> None:
    """Write all documents, and remove those that belong to nothing."""
    for name, text in wanted.items():
        (docs / name).parent.mkdir(parents=True, exist_ok=True)
        (docs / name).write_text(text, encoding="utf-8")
    for path in _left_over(wanted, docs):
        path.unlink()


def _left_over(wanted: dict[str, str], docs: Path) -> list[Path]:
    known = {docs / name for name in wanted}
    return sorted(path for folder in FOLDERS for path in (docs / folder).glob("*") if path not in known)
