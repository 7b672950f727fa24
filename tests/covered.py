"""A plugin of pytest: which rows of the catalogue the tests of a run prove, and what came of them (`--covered FILE`)."""

import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--covered", type=Path, help="write what was proved of the catalogue into this file, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    if (file := config.getoption("--covered")) is not None:
        config.pluginmanager.register(Covered(file))


class Covered:
    """Counts the cases of every test by the rows they are about."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._rows: dict[str, Sequence[str]] = {}
        self._cases: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            rows = [row for mark in item.iter_markers("catalogue") for row in mark.args]
            if rows:
                self._rows[item.nodeid] = rows

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.failed:
            for row in self._rows.get(report.nodeid, ()):
                self._cases[row][report.nodeid.partition("[")[0]][0 if report.passed else 1] += 1

    def pytest_sessionfinish(self) -> None:
        from tests.catalogue import ROWS  # noqa: PLC0415 - the doors behind it take a second, for one run in a hundred

        told = [
            {
                "row": row.name,
                "what": row.what,
                "waits": row.waits,
                "tests": {
                    test: {"passed": passed, "failed": failed}
                    for test, (passed, failed) in sorted(self._cases[row.name].items())
                },
            }
            for row in ROWS.values()
        ]
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
