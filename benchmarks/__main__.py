"""`python -m benchmarks`: measure ours, what a user would pick, and the floor, in turn.

Results are kept in .rapport/bench, so that a full run can be done goal by goal.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
import time
from typing import TYPE_CHECKING, Protocol, cast

from rich.console import Console

from benchmarks import report
from benchmarks.harness import Measured, Scale, Servers, servers

if TYPE_CHECKING:
    from benchmarks.harness import Goal

BENCHMARKS = ("post", "committer", "relay", "consumer", "measures_store", "query", "live", "sustained", "tracing")
"""Modules beside this one, in the order in which they run."""
console = Console(highlight=False, soft_wrap=True)


class Benchmark(Protocol):
    """What such a module has."""

    GOALS: tuple[Goal, ...]

    async def measure(self, servers: Servers, scale: Scale) -> Measured:
        """All samples that the bounds of GOALS ask for. WrongOutcomeError where a contestant did not do its work."""
        ...


def main() -> int:
    """Exit code: 0 where every outcome was right, whatever the speed."""
    options = _options()
    found = {name: cast("Benchmark", importlib.import_module(f"benchmarks.{name}")) for name in BENCHMARKS}
    if not options.render:
        asked = set(options.only.upper().split(",")) if options.only else None
        chosen = {
            name: benchmark
            for name, benchmark in found.items()
            if asked is None or asked & {goal.id for goal in benchmark.GOALS}
        }
        _run(chosen, options)
    if options.render or options.write:
        report.write((name, benchmark.GOALS) for name, benchmark in found.items())
        console.print(f"written: {report.DOCUMENT}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--only", help="goals, comma separated: G1,G4")
    parser.add_argument("--repeats", type=int, default=5, help="rounds in which each contestant runs once")
    parser.add_argument("--quick", action="store_true", help="tiny: are the outcomes right? Nothing is kept")
    parser.add_argument("--write", action="store_true", help=f"write {report.DOCUMENT} from the results")
    parser.add_argument("--render", action="store_true", help="only write it, from the results that are there")
    parser.add_argument("--stack", choices=("embedded", "external"), default="embedded", help="whose servers")
    options = parser.parse_args()
    if options.quick and (options.write or options.render):
        parser.error("a smoke test's figures are not for a document")
    return options


def _run(chosen: dict[str, Benchmark], options: argparse.Namespace) -> None:
    with servers(options.stack) as real:
        machine = report.machine(real)
        for name, benchmark in chosen.items():
            ids = ", ".join(goal.id for goal in benchmark.GOALS)
            began = time.perf_counter()
            with console.status(f"{ids} ({name})") as status:
                scale = Scale(
                    repeats=options.repeats,
                    quick=options.quick,
                    progress=lambda what, status=status, ids=ids: status.update(f"{ids} · {what}"),
                )
                measured = asyncio.run(benchmark.measure(real, scale))
            seconds = time.perf_counter() - began
            console.print(f"{ids} ({name}): {seconds:.0f} s")
            if options.quick:
                continue
            report.store(name, measured, machine, seconds)
            _tell(benchmark, measured)


def _tell(benchmark: Benchmark, measured: Measured) -> None:
    for goal in benchmark.GOALS:
        for each in report.verdicts(goal, measured):
            mark = ("[green]met   [/green]" if each.met else "[red]missed[/red]") if each.judged else "      "
            console.print(
                f"  {mark} {goal.id:<4} {each.text}: {each.spread.median:.3g} "
                f"({each.spread.low:.3g} to {each.spread.high:.3g}) {each.limit}"
            )


if __name__ == "__main__":
    sys.exit(main())
