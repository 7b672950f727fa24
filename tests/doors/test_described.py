"""What each service says of itself, tried on it: good and bad data made from its OpenAPI, by Schemathesis.

All of its checks, in all its phases: every corner of every schema, random data, and chains of requests. A route that is
added tomorrow is tried tomorrow. Without `--examples` it is little, and the same for the same description: a change is not
to fail for what another one brought. `make fuzz` tries much, and something else each time.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import pytest
from rapport_chassis.http.connections import Limits

from tests.doors.conftest import Site, served
from tests.doors.known import ROLES

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("schemathesis.toml")
FEW = 5
HOURS = 12
"""A token's, for a run may be long."""


async def test_what_is_described_is_what_is_there(house: Site, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(house.component.app.openapi()))
    token = house.component.token(*ROLES, exp=int(time.time()) + HOURS * 3600)
    examples = request.config.getoption("--examples")
    async with served(house, Limits()) as port:
        arguments = (
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIG, "run", document),
            *("--url", f"http://127.0.0.1:{port}", "--header", f"Authorization: Bearer {token}"),
            *(("--max-examples", examples) if examples else ("--max-examples", FEW, "--generation-deterministic")),
        )
        process = await asyncio.create_subprocess_exec(
            *map(str, arguments),
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()[-20_000:]
