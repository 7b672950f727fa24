"""The same file names in every service, so that who knows one knows all."""

import ast
from pathlib import Path

import pytest

from tests.architecture.source import PACKAGES, ROOT, SERVICES, files, imported, module_of, shown, tree

NEEDED = {"__init__.py", "py.typed", "main.py", "contract.py", "api.py", "store.py", "usecases", "domain"}
POSSIBLE = {"rights.py", "settings.py", "data"}
OWN = {
    "registry": {"imports.py", "rows.py"},
    "feedback": {"imports.py", "rows.py"},
    "measures": {"stream.py", "views.py"},
    "notifications": {"channels", "delivery.py", "templates"},
}
"""What a service has besides, because it does something that no other does."""

MAIN_LINES = 30
UNWELCOME = {"utils", "util", "common", "helpers", "helper", "manager", "managers", "misc", "base", "core"}


@pytest.mark.parametrize("service", SERVICES)
def test_files_of_a_service(service: str) -> None:
    found = {path.name for path in PACKAGES[service].iterdir() if path.name != "__pycache__"}
    assert found >= NEEDED
    assert found <= NEEDED | POSSIBLE | OWN.get(service, set())
    for name in ("README.md", "pyproject.toml", "tests/unit", "tests/component"):
        assert (ROOT / "services" / service / name).exists(), name


@pytest.mark.parametrize("service", SERVICES)
def test_main_is_wiring_and_nothing_else(service: str) -> None:
    main = PACKAGES[service] / "main.py"
    assert len(main.read_text(encoding="utf-8").splitlines()) <= MAIN_LINES
    body = tree(main).body[1:]  # behind the docstring
    assert {name for node in body for name in _defined(node)} == {"SERVICE", "api", "worker"}
    assert not [node for node in ast.walk(tree(main)) if isinstance(node, ast.If | ast.For | ast.While | ast.Try)]


@pytest.mark.parametrize("service", SERVICES)
def test_contract_holds_no_logic(service: str) -> None:
    contract = PACKAGES[service] / "contract.py"
    allowed = ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign | ast.Expr
    assert all(isinstance(node, allowed) for node in tree(contract).body)
    assert not [node for node in ast.walk(tree(contract)) if isinstance(node, ast.Call | ast.Lambda)]


@pytest.mark.parametrize("service", SERVICES)
def test_a_use_case_has_its_own_file(service: str) -> None:
    """`verb_noun.py` with a use case that begins with the verb, and somebody who runs it."""
    folder = PACKAGES[service] / "usecases"
    run_by = {name for path in files(service) if path.parent != folder for name in imported(path)}
    for path in sorted(folder.glob("*.py")):
        if path.name == "__init__.py":
            continue
        verb = path.stem.partition("_")[0]
        names = [node.name for node in tree(path).body if isinstance(node, ast.AsyncFunctionDef)]
        assert any(name.partition("_")[0] == verb for name in names), shown(path)
        assert module_of(path) in run_by, f"{shown(path)} is run by nobody"


def test_no_drawer_for_everything() -> None:
    for path in files():
        assert path.stem not in UNWELCOME, shown(path)


def test_no_empty_file() -> None:
    """A file that would be empty does not exist; only Python asks for some."""
    for path in files():
        if path.name != "__init__.py":
            assert path.read_text(encoding="utf-8").strip(), shown(path)


def _defined(node: ast.stmt) -> list[str]:
    match node:
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return []
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.FunctionDef(name=name):
            return [name]
    return [ast.unparse(node)]


def test_every_package_is_typed() -> None:
    for package in PACKAGES.values():
        assert (package / "py.typed").is_file(), package


def test_where_a_checkout_keeps_its_sources() -> None:
    found = {path.parent.name for path in ROOT.glob("*/*/pyproject.toml")}
    assert found == {"events", "ports", "chassis", "stack", "cli", *SERVICES}
    assert all(isinstance(package, Path) and package.is_dir() for package in PACKAGES.values())
