"""`python -m tests.faults`: break the platform in every way of the catalogue, and see what held.

Faults of one ground share a platform; several platforms run side by side. After a finding a platform is made anew, so
that one damage is not reported twice; and once much was written on it, so that reading all of it stays cheap.
"""

import argparse
import asyncio
import logging
import secrets
import sys
from pathlib import Path

from rich.console import Console

from tests.faults import report, results
from tests.faults.catalogue import FAULTS, Fault, Repetition, repeat
from tests.faults.families import FAMILIES
from tests.faults.plan import Plan, Task
from tests.faults.scene import staged

LOGS = Path(".rapport/faults")
MUCH = 4_000
"""Acknowledged writes after which a platform is made anew."""
console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Exit code: 0 where every invariant held."""
    options = _options()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # our own clients see the brokers go, too
    kept = results.Results()
    if options.render:
        report.write(kept)
        return 0
    chosen = [FAULTS[id_] for id_ in (options.only.split(",") if options.only else FAULTS)]
    if options.fresh:
        kept.anew([each.id for each in chosen])
    done = kept.resumed([each.id for each in chosen], options.times) if options.write else {}
    plan = Plan(chosen, options.times, done)
    console.print(
        f"seed {options.seed}, {len(chosen)} faults, {options.times} times each ({len(FAMILIES)} families), "
        f"{len(plan.waiting)} repetitions to do"
    )
    run = Run(options, plan, kept if options.write else None)
    try:
        asyncio.run(run.all())
    finally:
        if options.write:
            report.write(kept)
            console.print(f"written: {report.DOCUMENT}")
    console.print(
        "[red]something did not hold, see above[/red]" if run.failed else "[green]every invariant held[/green]"
    )
    return int(run.failed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.faults", description=__doc__)
    parser.add_argument("--times", type=int, default=1, help="repetitions of each fault; with --write those kept count")
    parser.add_argument("--only", help="numbers of faults, comma separated")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="printed at the start; the same one repeats a run")
    parser.add_argument("--jobs", type=int, default=3, help="platforms at once")
    parser.add_argument("--write", action="store_true", help=f"keep results in {results.FOLDER}, write the document")
    parser.add_argument("--fresh", action="store_true", help="let no repetition kept so far (of --only) count any more")
    parser.add_argument("--render", action="store_true", help="only write the document, from the results kept")
    options = parser.parse_args()
    if options.fresh and not options.write:
        parser.error("--fresh goes with --write")
    return options


class Run:
    """One run: platforms side by side, each taking from the plan until there is nothing left."""

    def __init__(self, options: argparse.Namespace, plan: Plan, kept: results.Results | None) -> None:
        self.options = options
        self.plan = plan
        self.kept = kept
        self.commit = results.commit()
        self.failed = False

    async def all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self.options.jobs):
                group.create_task(self._platforms())

    async def _platforms(self) -> None:
        """One platform after the other."""
        task = self.plan.take()
        while task is not None:
            task = await self._on_one(task)

    async def _on_one(self, task: Task) -> Task | None:
        """All that is done on one platform, from this task on; the next task, which needs another one."""
        following: Task | None = task
        ground = task[0].ground
        async with staged(ground) as scene:
            while following is not None and following[0].ground == ground:
                each, number = following
                done = await repeat(scene, each, f"{self.options.seed}/{each.id}/{number}")
                _tell(each, number, self.options.times, done)
                if self.kept is not None:
                    self.kept.keep(done, self.commit)
                following = self.plan.take(ground.name)
                if done.findings:
                    self.failed = True
                    _keep_logs(scene.platform.folder.logs, each)
                if done.findings or len(scene.ledger.promises) > MUCH:
                    break
        return following


def _tell(each: Fault, number: int, times: int, done: Repetition) -> None:
    mark = "[red]FOUND[/red]" if done.findings else "[green]held [/green]"
    console.print(
        f"{mark} {each.id:<4} {number:>2}/{times} {each.what}: {done.injections} injected, "
        f"{done.acknowledged} acknowledged, {done.refused} refused, {done.unknown} in doubt, {done.lost} lost, "
        f"{done.doubled} doubled, {done.out_of_order} out of order, back in {done.recovery:.1f} s ({done.seconds:.0f} s)"
    )
    for invariant, found in done.findings.items():
        for finding in found:
            console.print(f"      [red]{invariant}[/red] {finding}  (seed {done.seed})")


def _keep_logs(logs: Path, each: Fault) -> None:
    """For whoever looks into a finding."""
    kept = LOGS / f"{each.id}-logs"
    kept.mkdir(parents=True, exist_ok=True)
    for log in logs.iterdir():
        (kept / log.name).write_bytes(log.read_bytes())


if __name__ == "__main__":
    sys.exit(main())
