"""No secret in the repository, and none on its way into an image.

Not scanned: what is generated from files that are, the lock with its hashes, a schema that others published. Passwords by the name of
their variable are the linter's business (ruff S105 to S107).
"""

import base64
import secrets
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from detect_secrets import SecretsCollection
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.settings import transient_settings
from docker.utils.build import PatternMatcher

from tests.architecture.source import ROOT, shown, text_files

IGNORED = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line and line[0] != "#"]
NOT_SCANNED = ("docs/asyncapi/*", "docs/openapi/*", "uv.lock", "tests/architecture/asyncapi/*.json")
TOO_LOUD = {"HexHighEntropyString", "KeywordDetector"}
"""Every trace id is one; every parameter called `token` is one."""

HARMLESS = {
    ("libs/events/examples/*/*.json", "Base64 High Entropy String"): "sealed words; their keys were never kept",
    ("libs/chassis/tests/telemetry/test_logs.py", "JSON Web Token"): "made up, to see that no log holds one",
    ("libs/stack/tests/test_mailbox.py", "Base64 High Entropy String"): "the example of Standard Webhooks",
}

PLANTED = {
    "AWS Access Key": "AWS_ACCESS_KEY_ID=AKIA" + "Z7QKMPLW3RTN5VXY",
    "GitHub Token": f"token: ghp_{secrets.token_hex(18)}",
    "Private Key": Ed25519PrivateKey.generate()
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode(),
    "Basic Auth Credentials": "mongodb://rapport:" + "Kestrel-81@mongo.example/",
    "Base64 High Entropy String": f'MASTER_KEY = "{base64.b64encode(secrets.token_bytes(96)).decode()}"',
}


def scan(paths: Iterable[Path]) -> set[tuple[str, str]]:
    """File and kind of every secret that is found."""
    plugins = {each.__name__ for each in get_mapping_from_secret_type_to_class().values()} - TOO_LOUD
    found = SecretsCollection()
    with transient_settings({"plugins_used": [{"name": name} for name in sorted(plugins)]}):
        for path in paths:
            found.scan_file(str(path))
    return {(name, secret.type) for name, secret in found}


def test_no_secret_is_tracked() -> None:
    scanned = (path for path in text_files() if not any(fnmatch(shown(path), each) for each in NOT_SCANNED))
    found = {(shown(Path(name)), kind) for name, kind in scan(scanned)}
    known = {each: {one for one in found if fnmatch(one[0], each[0]) and one[1] == each[1]} for each in HARMLESS}
    assert not found.difference(*known.values())
    assert all(known.values()), "an exception that nothing needs any more"


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("name", ["settings.py", "notes.md", "values.yaml", ".env"])
def test_a_planted_one_is_found(tmp_path: Path, kind: str, name: str) -> None:
    planted = tmp_path / name
    planted.write_text(f"# Nothing to see here\n{PLANTED[kind]}\n")
    assert (str(planted), kind) in scan([planted])


def test_nothing_gets_into_an_image_that_was_not_scanned() -> None:
    """All that lies about in a checkout, by the rules of .dockerignore: only what the scan above reads as well."""
    matcher = PatternMatcher(IGNORED)
    scanned = {shown(path) for path in text_files()}
    sent = {
        name
        for name in (shown(path) for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts)
        # Docker leaves out what lies in a folder that is left out; this matcher knows the folder alone.
        if not matcher.matches(name) and "__pycache__" not in name.split("/")
    }
    assert any(name.endswith("/main.py") for name in sent)
    assert sent <= scanned


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        ".git/config",
        ".rapport/demo/master.key",
        "apps/cli/.env",
        "deploy/secrets.yaml",
        "dist/key.pem",
        "libs/chassis/.env",
        "libs/chassis/tests/key.pem",
        "services/registry/.env",
        "services/registry/src/registry/.env",
        "services/registry/src/registry/data/signing.pem",
        "libs/chassis/src/rapport_chassis/master.key",
    ],
)
def test_what_is_secret_stays_out_of_an_image(name: str) -> None:
    assert PatternMatcher(IGNORED).matches(name)
