"""Importing is free: no connection, no thread, no process, no file written, no look at the environment."""

import json
import subprocess
import sys
from pathlib import Path

from tests.architecture.source import PACKAGES, ROOT, files, module_of


def observe(*packages: str, path: Path | None = None) -> dict[str, list[str]]:
    program = Path(__file__).with_name("imports_only.py")
    environment = {"PYTHONPATH": str(path)} if path else {}
    result = subprocess.run(
        [sys.executable, "-B", "-W", "ignore", program, *packages],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(path or ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    seen: dict[str, list[str]] = json.loads(result.stdout)
    return seen


def test_nothing_happens_at_import() -> None:
    seen = observe(*PACKAGES)
    assert seen["found"] == []
    every = {module_of(path) for path in files()}
    left_out = {name for name in every.difference(seen["imported"]) if not name.endswith(".__main__")}
    assert left_out == {"rapport_stack.tether"}


def test_the_observer_sees(tmp_path: Path) -> None:
    """A watch that never barks would prove nothing."""
    package = tmp_path / "restless"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "reads.py").write_text("import os\nHOME = os.environ.get('HOME')\nPATH = os.getenv('PATH')\n")
    (package / "runs.py").write_text("import threading\nthreading.Thread(target=int).start()\n")
    (package / "writes.py").write_text("import pathlib\n(pathlib.Path(__file__).parent / 'x').write_text('x')\n")
    (package / "calls.py").write_text("import socket\nwith socket.socket() as s:\n    s.bind(('127.0.0.1', 0))\n")
    found = "\n".join(observe("restless", path=tmp_path)["found"])
    for expected in (
        "reads HOME",
        "reads PATH",
        "restless.runs: starts a thread",
        "restless.writes: writes",
        "restless.calls: socket.bind",
    ):
        assert expected in found
