"""One service process, kept running: whoever dies comes back, later each time it dies soon."""

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
from rapport_stack.process import spawn, stop, terminate

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
SETTLED_AFTER: Final = 60.0
"""Seconds after which a death is a new story, not the old one going on."""


@dataclass(slots=True)
class KeptProcess:
    """`look` once in a while does all the keeping.

    Attributes:
        name: service and half, such as "registry-api".
        private: base URL of its health, metrics and status.
        restarts: how often it was started again.
        said: readiness in its own words, or how it ended; empty when it is ready.
        code: what the last one ended with, that of a signal negative; None while none has.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    log: Path
    private: str
    restarts: int = 0
    said: str = "starting"
    code: int | None = None
    deaths: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _started: float = 0.0
    _due: float = field(default=0.0)

    @property
    def pid(self) -> int:
        """0 while it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    @property
    def ready(self) -> bool:
        return not self.said

    def start(self) -> None:
        self._process = spawn(self.argv, log=self.log, env=self.env)
        self._started = time.monotonic()
        self.said = "starting"

    def look(self, http: httpx.Client) -> None:
        """Note how it is; start it again when its pause is over."""
        if self._process is None:
            if time.monotonic() >= self._due:
                self.restarts += 1
                self.start()
            return
        code = self._process.poll()
        if code is not None:
            self._mourn(code)
            return
        try:
            answer = http.get(f"{self.private}/readyz")
            reasons = answer.json().get("reasons", {})
            self.said = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        except (httpx.HTTPError, ValueError):
            self.said = "starting" if self.said == "starting" else "does not answer"

    def terminate(self) -> None:
        """Ask it to end, without waiting."""
        if self._process is not None:
            terminate(self._process)

    def stop(self) -> None:
        if self._process is not None:
            stop(self._process)

    def last_words(self) -> str:
        """The end of its log, of JSON lines the message."""
        try:
            lines = self.log.read_text(errors="replace").strip().splitlines()[-5:]
        except FileNotFoundError:
            return ""
        return "\n".join(_message(line) for line in lines)

    def _mourn(self, code: int) -> None:
        self.deaths = 1 if time.monotonic() - self._started > SETTLED_AFTER else self.deaths + 1
        pause = min(FIRST_PAUSE * 2 ** (self.deaths - 1), LONGEST_PAUSE)
        self._due = time.monotonic() + pause
        self._process, self.code = None, code
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        self.said = f"{how}; starts again in {pause:.1f} s"


def _message(line: str) -> str:
    try:
        said = json.loads(line)
        return f"{said['event']} {said.get('exception', {}).get('message', '')}".strip()
    except (ValueError, TypeError, KeyError):
        return line
