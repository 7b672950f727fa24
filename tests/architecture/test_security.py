"""docs/security.md tells what is so: every row of the catalogue is proved by tests there are, or says why it is not."""

import json
from typing import Any

import pytest

from tests.architecture.source import ROOT
from tests.catalogue import ROWS


@pytest.fixture(scope="module")
def told() -> dict[str, dict[str, Any]]:
    """What the last `make security` proved, by row."""
    found = json.loads((ROOT / "docs/security.json").read_text(encoding="utf-8"))
    return {row["row"]: row for row in found}


def test_the_catalogue_is_whole(told: dict[str, dict[str, Any]]) -> None:
    assert [(row["row"], row["what"], row["waits"]) for row in told.values()] == [
        (row.name, row.what, row.waits) for row in ROWS.values()
    ], "try them again: make security"
    for kind, last in (("B", 40), ("A", 13), ("Z", 20)):
        assert [name for name in ROWS if name[0] == kind] == [f"{kind}{n}" for n in range(1, last + 1)]


def test_every_row_is_proved_or_says_why_not(told: dict[str, dict[str, Any]]) -> None:
    for name, row in told.items():
        assert bool(row["tests"]) != bool(row["waits"]), f"{name}: proved, or a reason why not"
        assert not [test for test, cases in row["tests"].items() if cases["failed"] or not cases["passed"]], name


def test_the_tests_that_are_named_are_there(told: dict[str, dict[str, Any]]) -> None:
    for name, row in told.items():
        for test in row["tests"]:
            file, _, function = test.partition("::")
            source = (ROOT / file).read_text(encoding="utf-8")
            assert f"def {function}(" in source, f"{test} is gone: make security"
            assert "catalogue" in source, f"{test} says no more that it proves {name}: make security"
