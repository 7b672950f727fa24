"""Who may import whom. The contracts of `.importlinter`, and the two rules they cannot say: nothing but these."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, SERVICES, files, imported, shown, tree

STANDARD = sys.stdlib_module_names | {"typing_extensions"}

DOMAIN_WORDS = {
    "stakeholder",
    "consent",
    "exercise",
    "promise",
    "instrument",
    "wave",
    "verdict",
    "survey",
    "respondent",
}

SETTINGS_FILES = {"settings.py"}


def test_import_contracts_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def foreign(path: Path, *allowed: str) -> set[str]:
    """What a file imports beyond the standard library and these packages."""
    roots = tuple(f"{name}." for name in allowed)
    return {
        name
        for name in imported(path)
        if name.partition(".")[0] not in STANDARD and name not in allowed and not name.startswith(roots)
    }


@pytest.mark.parametrize("service", SERVICES)
def test_domain_is_plain_python(service: str) -> None:
    numeric = ("scipy.special",) if service == "measures" else ()
    for path in files(service):
        if path.parent.name == "domain":
            assert not foreign(path, f"{service}.domain", *numeric), shown(path)


@pytest.mark.parametrize("service", SERVICES)
def test_use_cases_import_domain_events_ports_and_pydantic_only(service: str) -> None:
    allowed = (
        f"{service}.domain",
        f"{service}.rights",
        f"{service}.usecases",
        "rapport_events",
        "rapport_ports",
        "pydantic",
        "pydantic_core",
    )
    for path in files(service):
        if path.parent.name == "usecases":
            assert not foreign(path, *allowed), shown(path)


def test_events_import_pydantic_only() -> None:
    for path in files("rapport_events"):
        assert not foreign(path, "rapport_events", "pydantic", "pydantic_core"), shown(path)


def test_ports_import_events_and_pydantic_only() -> None:
    for path in files("rapport_ports"):
        assert not foreign(path, "rapport_ports", "rapport_events", "pydantic"), shown(path)


def test_environment_is_read_in_settings_only() -> None:
    """Also by pydantic's BaseSettings, which reads it wherever one is made: so none is declared elsewhere."""
    for path in files():
        if path.name in SETTINGS_FILES:
            continue
        for node in ast.walk(tree(path)):
            name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
            assert name not in {"environ", "environb", "getenv", "BaseSettings"}, f"{shown(path)}: {name}"


def test_chassis_has_no_word_of_the_domain() -> None:
    for path in files("rapport_chassis"):
        for node in ast.walk(tree(path)):
            name = getattr(node, "name", None) or getattr(node, "attr", None) or getattr(node, "id", None)
            if isinstance(name, str):
                words = {word.lower().removesuffix("s") for word in re.findall(r"[A-Z]?[a-z]+", name)}
                assert not words & DOMAIN_WORDS, f"{shown(path)}: {name}"
