"""The project stands alone: nothing in it reads, names or needs what lies outside its folder."""

import ast
import re

from tests.architecture.source import ROOT, SERVICES, files, shown, text_files, tree

OUTSIDE = re.compile(r"(?<![\w.])/(?:work|home|root|mnt|srv|Users)/|\.\./" + "shared")
ABSOLUTE = re.compile(r"/(?:etc|home|root|mnt|opt|srv|tmp|usr|var)(?:/|$)")

NAMED_ONCE = {
    "pyproject.toml",
    ".importlinter",
    "docker-compose.yml",
    "apps/cli/pyproject.toml",
    "apps/cli/src/rapport_cli/running/state.py",
    "libs/events/src/rapport_events/catalog.py",
}
"""The files that a new service is entered in: the recipe in CONTRIBUTING.md counts them."""

ELSEWHERE = ("docs/", "deploy/principals.json", "apps/cli/src/rapport_cli/demo/")
"""What is generated, and the demo, which tells a story of all five."""


IN_CONTAINERS = {
    "docker-compose.yml",
    "libs/stack/src/rapport_stack/containers.py",
    "libs/stack/src/rapport_stack/kafka-start.sh",
}
"""Whose absolute paths are those of an image."""

MAY_LOOK_OUTSIDE = {"uv.lock", ".ci/run", *IN_CONTAINERS}
"""Hashes look like anything; CI may borrow an engine of containers from the place it runs at."""


def test_no_path_outside_the_project() -> None:
    for path in text_files():
        found = OUTSIDE.search(path.read_text(encoding="utf-8"))
        assert found is None or shown(path) in MAY_LOOK_OUTSIDE, f"{shown(path)}: {found}"


def test_no_absolute_path_in_what_runs() -> None:
    for path in files():
        if shown(path) in IN_CONTAINERS:
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not ABSOLUTE.match(node.value), f"{shown(path)}: {node.value}"


def test_where_a_service_is_entered() -> None:
    """In these files and nowhere else, so that the recipe for a new one is true."""
    found = set()
    for path in text_files():
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(ELSEWHERE) or name.endswith((".md", ".lock", ".sha256")) or "tests" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        if all(re.search(rf"\b{service}\b", text) for service in SERVICES):
            found.add(name)
    assert found == NAMED_ONCE
