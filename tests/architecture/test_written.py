"""What the written documents promise is there: commands, modules, paths, links, metrics."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer
from prometheus_client import REGISTRY
from rapport_chassis import metrics
from rapport_cli.main import commands

from tests.architecture.source import ROOT, shown, text_files

ADR_LINES = 60

FENCE = re.compile(r"^```.*?$(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
MAKE = re.compile(r"(?:^|[\s(;&])make ([a-z][a-z-]*)\b")
RAPPORT = re.compile(r"(?:^|[\s(/;&])rapport((?: [a-z-][\w-]*)+)")
MODULE = re.compile(r"python -m ([a-z_.]+)")
PLACE = re.compile(r"(?:apps|deploy|docs|libs|services|tests)/[\w./-]+")


def documents() -> list[Path]:
    return [path for path in text_files() if path.suffix == ".md"]


def code(path: Path) -> list[str]:
    """What stands as code in a document: lines of fenced blocks, and inline pieces."""
    text = path.read_text(encoding="utf-8")
    lines = [line.partition(" #")[0] for block in FENCE.findall(text) for line in block.splitlines()]
    return lines + INLINE.findall(FENCE.sub("", text))


@pytest.fixture(scope="module")
def targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):.*##", makefile, re.MULTILINE))


@pytest.mark.parametrize("path", documents(), ids=shown)
def test_targets_exist(path: Path, targets: set[str]) -> None:
    for piece in code(path):
        assert set(MAKE.findall(piece)) <= targets, piece


def test_needed_targets_have_their_line_of_help(targets: set[str]) -> None:
    assert targets >= {"help", "demo", "test", "check", "up", "down", "docs"}


@pytest.mark.parametrize("path", documents(), ids=shown)
def test_rapport_commands_exist(path: Path) -> None:
    for piece in code(path):
        for words in RAPPORT.findall(piece):
            command: Any = typer.main.get_command(commands)
            for word in words.split():
                if word.startswith("-"):
                    known = {option for parameter in command.params for option in parameter.opts}
                    assert word in known | {"--help"}, piece
                elif hasattr(command, "commands"):
                    assert word in command.commands, piece
                    command = command.commands[word]


@pytest.mark.parametrize("path", documents(), ids=shown)
def test_modules_exist(path: Path) -> None:
    for piece in code(path):
        for name in MODULE.findall(piece):
            assert find_spec(name.rstrip(".")) is not None, piece


@pytest.mark.parametrize("path", documents(), ids=shown)
def test_links_lead_somewhere(path: Path) -> None:
    for link in LINK.findall(FENCE.sub("", path.read_text(encoding="utf-8"))):
        target, _, anchor = link.partition("#")
        if target.startswith(("http://", "https://")):
            continue
        place = (path.parent / target).resolve() if target else path
        assert place.exists(), link
        assert place.is_relative_to(ROOT), link
        if anchor and place.suffix == ".md":
            heads = re.findall(r"^#+ (.+)$", place.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in slugs, link


@pytest.mark.parametrize("path", documents(), ids=shown)
def test_places_exist(path: Path) -> None:
    """A path in inline code that begins at the root of the project; patterns with <…> or * are none."""
    for piece in INLINE.findall(FENCE.sub("", path.read_text(encoding="utf-8"))):
        if PLACE.fullmatch(piece):
            assert (ROOT / piece).exists() or (path.parent / piece).exists(), piece


def test_records_of_decisions() -> None:
    """Numbered without a gap, short, and titled by their number."""
    records = sorted((ROOT / "docs/adr").glob("*.md"))
    assert [path.name[:4] for path in records] == [f"{n:04}" for n in range(1, len(records) + 1)]
    for path in records:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith(f"# {path.name[:4]} "), path.name
        assert len(lines) < ADR_LINES, path.name
        assert "## Decision" in lines, path.name


def test_the_runbook_explains_every_metric() -> None:
    runbook = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    assert metrics.UNSENT is not None  # importing them is registering them
    ours = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in REGISTRY.collect()
        if family.name.startswith(("rapport_", "http_server_"))
    }
    assert len(ours) > len(("sent", "applied", "gaps"))
    assert not {name for name in ours if f"`{name}`" not in runbook}
