"""The command line as an operator runs it: a process of its own, beside the platform."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.integration.rapport import Rapport


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended, and what it printed."""

    code: int
    text: str
    errors: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Of a command with --json: an object a line."""
        return [json.loads(line) for line in self.text.splitlines()]


async def command(rapport: Rapport, *arguments: str) -> Said:
    """Run `rapport …` against this platform to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "rapport_cli.main",
        *arguments,
        env={**os.environ, "RAPPORT_FOLDER": str(rapport.platform.folder.path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return Said(process.returncode or 0, out.decode(), err.decode())


@asynccontextmanager
async def rebuilding(rapport: Rapport, service: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The rebuilding process itself, as the command starts it; killed in the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "rapport_chassis",
        service,
        "rebuild",
        env=dict(rapport.process(f"{service}-worker").env),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
