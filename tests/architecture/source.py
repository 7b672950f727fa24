"""The tree as text and syntax: what a rule is checked against without running anything."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from rapport_cli.running.state import SERVICES as SERVICES  # noqa: PLC0414 - for the tests beside

ROOT = Path(__file__).parents[2]

PACKAGES = {
    "rapport_events": ROOT / "libs/events/src/rapport_events",
    "rapport_ports": ROOT / "libs/ports/src/rapport_ports",
    "rapport_chassis": ROOT / "libs/chassis/src/rapport_chassis",
    "rapport_stack": ROOT / "libs/stack/src/rapport_stack",
    "rapport_cli": ROOT / "apps/cli/src/rapport_cli",
    **{name: ROOT / f"services/{name}/src/{name}" for name in SERVICES},
}


def files(*packages: str) -> Iterator[Path]:
    """Every Python file of these packages; of all, where none is named."""
    for package in packages or PACKAGES:
        yield from sorted(PACKAGES[package].rglob("*.py"))


def module_of(path: Path) -> str:
    """The dotted name under which a file is imported."""
    parts = path.relative_to(next(p for p in path.parents if p.name == "src")).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(path: Path) -> set[str]:
    """Every module a file imports, by its dotted name, wherever in the file it does."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text_files() -> Iterator[Path]:
    """Everything in the repository that is text, committed or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in sorted(filter(None, listed.stdout.split("\0"))):
        path = ROOT / name
        if path.is_file() and b"\0" not in path.read_bytes()[:1024]:
            yield path
