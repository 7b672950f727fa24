"""The repetitions that were kept: docs/reliability/<fault>.jsonl, one line each, from which the report is rendered.

A fault has been shown often enough once so many repetitions of it count. A run that is cut short goes on where it was;
after one that is complete, a new one begins. `anew` sets the repetitions of a fault aside: those that held are dropped,
those that did not are kept as superseded and stay in the report.
"""

import json
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.catalogue import FAULTS, Repetition

FOLDER = Path("docs/reliability")


@dataclass(frozen=True, slots=True)
class Kept:
    """A repetition, and the code that it ran on. `commit` ends in "+" where there were changes beside."""

    repetition: Repetition
    commit: str
    day: str
    superseded: bool = False

    def line(self) -> str:
        """Without what is nothing; with numbers as precise as they are told."""
        known = {"commit": self.commit, "day": self.day, "superseded": self.superseded} | asdict(self.repetition)
        return json.dumps({name: _rounded(value) for name, value in known.items() if value}) + "\n"

    @classmethod
    def read(cls, line: str) -> "Kept":
        known = json.loads(line)
        own = {each.name for each in fields(Repetition)}
        return cls(
            Repetition(**{name: value for name, value in known.items() if name in own}),
            known["commit"],
            known["day"],
            known.get("superseded", False),
        )


class Results:
    """The folder of kept repetitions."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder

    def of(self, fault: str) -> list[Kept]:
        """All of a fault's, those that count and those that are superseded, in the order in which they ran."""
        file = self._file(fault)
        return [Kept.read(line) for line in file.read_text().splitlines()] if file.exists() else []

    def all(self) -> Iterator[Kept]:
        for fault in FAULTS:
            yield from self.of(fault)

    def counting(self, fault: str) -> int:
        """How many repetitions of a fault count."""
        return sum(not each.superseded for each in self.of(fault))

    def resumed(self, faults: Collection[str], times: int) -> dict[str, int]:
        """How many repetitions of each count in the run to go on with: a complete one is set aside for a new one."""
        done = {fault: self.counting(fault) for fault in faults}
        if all(count >= times for count in done.values()):
            self.anew(faults)
            return dict.fromkeys(faults, 0)
        return done

    def keep(self, done: Repetition, commit: str) -> None:
        """One repetition more: it is on the disk when this returns."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._file(done.fault).open("a") as file:
            file.write(Kept(done, commit, str(datetime.now(UTC).date())).line())

    def anew(self, faults: Collection[str]) -> None:
        """Let no repetition of these faults count any more."""
        for fault in faults:
            found = [Kept(e.repetition, e.commit, e.day, superseded=True) for e in self.of(fault)]
            if failed := [each for each in found if each.repetition.findings]:
                self._file(fault).write_text("".join(each.line() for each in failed))
            else:
                self._file(fault).unlink(missing_ok=True)

    def _file(self, fault: str) -> Path:
        return self.folder / f"{fault}.jsonl"


def commit() -> str:
    """The commit that is checked out, short; with "+" where anything but the results of earlier runs was changed."""
    try:
        head = _git("rev-parse", "--short=7", "HEAD")
        changed = _git("status", "--porcelain", "--", ":/", f":(exclude){FOLDER}", f":(exclude){FOLDER}.md")
    except (OSError, subprocess.CalledProcessError):  # not a checkout
        return "unknown"
    return head + ("+" if changed else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return round(value, 2) if isinstance(value, float) else value
