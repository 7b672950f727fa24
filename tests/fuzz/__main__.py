"""`python -m tests.fuzz --seconds 60` lets inputs evolve against every decoder, each for its share of the time.

What a target lets through ends the run, and the input that did it is left in `.rapport/fuzz`: mend the decoder, and keep
the input in `tests/fuzz/corpus/<target>`. New inputs that only reach further are kept nowhere.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
TARGETS = ("envelope", "headers", "cursor", "body", "csv_rows", "ndjson_rows", "sealed")
FOUND = Path(".rapport/fuzz")
LONGEST = 8_192
SLOW = 10
"""Seconds for one input."""
MEMORY = 1_024
"""MiB."""


def main() -> int:
    """0, or how many decoders failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="of all targets together")
    parser.add_argument("targets", nargs="*", default=TARGETS)
    arguments = parser.parse_args()
    FOUND.mkdir(parents=True, exist_ok=True)
    share = max(1, arguments.seconds // len(arguments.targets))
    return sum(not _holds(target, share) for target in arguments.targets)


def _holds(target: str, seconds: int) -> bool:
    with tempfile.TemporaryDirectory() as evolved:
        argv = [
            *(sys.executable, "-m", f"tests.fuzz.{target}", evolved, str(HERE / "corpus" / target)),
            *(f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-timeout={SLOW}", f"-rss_limit_mb={MEMORY}"),
            *(f"-artifact_prefix={FOUND}/{target}-", "-verbosity=1", "-print_final_stats=1"),
        ]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": "."})
    runs = next((line.split()[-1] for line in done.stderr.splitlines() if "number_of_executed_units" in line), "?")
    sys.stdout.write(f"{target}: {runs} inputs in {seconds} s: {'held' if done.returncode == 0 else 'FAILED'}\n")
    if done.returncode:
        sys.stdout.write(done.stderr[-6_000:] + done.stdout[-4_000:])
    sys.stdout.flush()
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
