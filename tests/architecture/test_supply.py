"""What we build on: pinned by hash, under licences that are allowed, listed in each image, looked up for advisories."""

import json
import os
import re
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.markers import Marker
from packaging.utils import canonicalize_name
from rapport_cli.documents.distributions import IMAGES, INSIDE, all_locked, carried
from rapport_cli.documents.licences import ALLOWED, PERMISSIVE, STATED, LicenceError, licence, refuse

from tests.architecture.source import ROOT

LOCK: dict[str, Any] = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
ADVISORY = {
    "id": "GHSA-rapp-ort0-test",
    "modified": "2026-01-01T00:00:00Z",
    "summary": "One to be found",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "fastapi"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
        }
    ],
}


def test_everything_locked_comes_from_pypi_by_its_hash() -> None:
    ours = {package["name"] for package in LOCK["package"] if "registry" not in package["source"]}
    assert ours == set(LOCK["manifest"]["members"])
    for package in LOCK["package"]:
        if package["name"] in ours:
            assert package["source"].keys() <= {"editable", "virtual"}
            continue
        assert package["source"] == {"registry": "https://pypi.org/simple"}
        files = [*package.get("wheels", ()), *filter(None, [package.get("sdist")])]
        assert files, package["name"]
        for file in files:
            assert re.fullmatch(r"sha256:[0-9a-f]{64}", file["hash"]), file["url"]
            assert file["url"].startswith("https://files.pythonhosted.org/")


def test_whoever_installs_does_so_by_the_lock() -> None:
    for name in ("Dockerfile", "Makefile"):
        text = (ROOT / name).read_text("utf-8")
        syncs = re.findall(r"(?:uv|UV\)) (?:sync|export) .*", text)
        assert syncs
        assert all(" --locked " in each for each in syncs), name
    # What is installed otherwise is our own and brings nothing along.
    assert all(" --no-deps " in each for each in re.findall(r"uv pip install .*", DOCKERFILE))
    assert not re.search(r"(?<!uv )\bpip3? install|curl|wget|apt-get", DOCKERFILE)


def test_the_images_python_is_the_one_that_was_asked_about() -> None:
    assert set(re.findall(r"^FROM (python:\S+)", DOCKERFILE, re.MULTILINE)) == {
        f"python:{INSIDE['python_version']}-slim-bookworm"
    }


@pytest.mark.parametrize(
    ("expression", "fine"),
    [
        ("MIT", True),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND MPL-2.0", True),
        ("MIT AND GPL-3.0-only", False),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", True),
        ("GPL-3.0-or-later", False),
        ("SSPL-1.0", False),
    ],
)
def test_a_licence_must_be_allowed(expression: str, *, fine: bool) -> None:
    if fine:
        refuse([("it", expression)], {*PERMISSIVE, *ALLOWED})
    else:
        with pytest.raises(LicenceError, match="it comes under"):
            refuse([("it", expression)], {*PERMISSIVE, *ALLOWED})


def test_licences_are_stated_only_where_that_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what is locked still, and of what does not say the same itself."""
    stated = dict(STATED)
    assert stated.keys() <= all_locked().keys()
    for name, (expression, _) in stated.items():
        monkeypatch.delitem(STATED, name)
        try:
            assert licence(name) != expression, name
        except LicenceError:
            continue


@pytest.fixture(scope="module")
def bills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make sbom` writes."""
    folder = tmp_path_factory.mktemp("sbom")
    subprocess.run(["make", "sbom", f"SBOM={folder}"], cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_lists_what_it_carries(bills: Path, image: str) -> None:
    text = (bills / f"{IMAGES[image]}.cdx.json").read_text("utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(text) is None
    bill = json.loads(text)
    assert bill["metadata"]["component"]["name"] == IMAGES[image]
    listed = {
        (canonicalize_name(each["name"]), each["version"])
        for each in bill["components"]
        if "purl" in each and Marker(marker_of(each)).evaluate(INSIDE)
    }
    assert listed == {(canonicalize_name(name), version) for name, version in carried(image).items()}


def test_a_bill_that_lacks_something_is_refused() -> None:
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str('{"bomFormat": "CycloneDX"}') is not None


def marker_of(component: dict[str, Any]) -> str:
    properties = {each["name"]: each["value"] for each in component.get("properties", ())}
    return properties.get("uv:package:marker", "python_version > '3'")


class Database(BaseHTTPRequestHandler):
    """Answers as OSV does, and knows one advisory."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        known = {"vulns": [{"id": ADVISORY["id"], "modified": ADVISORY["modified"]}]}
        self.answer({"results": [known if each["package"]["name"] == "fastapi" else {} for each in asked]})

    def do_GET(self) -> None:
        self.answer(ADVISORY)

    def answer(self, body: Any) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@contextmanager
def database() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Database) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def audit(address: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "audit", f"OSV={address}"],
        cwd=ROOT,
        env={**os.environ, "UV_HTTP_RETRIES": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_an_advisory_fails_the_audit() -> None:
    with database() as address:
        found = audit(address)
    assert found.returncode != 0
    assert ADVISORY["id"] in found.stdout
    assert "NOTHING WAS AUDITED" not in found.stdout


def test_an_audit_without_a_database_says_so() -> None:
    with database() as address:
        pass  # and is gone
    said = audit(address)
    assert said.returncode == 0
    assert "NOTHING WAS AUDITED" in said.stdout
