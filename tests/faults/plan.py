"""In which order repetitions are done, and on whose platform."""

from collections import Counter
from collections.abc import Collection, Mapping

from tests.faults.catalogue import Fault

BLOCK = 5
"""Rounds after which all grounds have done as many: a run that is cut short has shown every fault about as often."""

FEW = 4
"""Repetitions for which no platform more is started where there is one."""

Task = tuple[Fault, int]
"""A fault, and which repetition of it."""


class Plan:
    """What is still to be done. Several platforms take from it, each as long as it may what its own ground has."""

    def __init__(self, chosen: Collection[Fault], times: int, done: Mapping[str, int]) -> None:
        tasks = [(each, n) for each in chosen for n in range(done.get(each.id, 0) + 1, times + 1)]
        self.waiting = sorted(tasks, key=lambda task: task[1])
        self._standing: Counter[str] = Counter()

    def take(self, ground: str = "") -> Task | None:
        """The next one for a platform on this ground, or on none yet; None where another platform is not worth its start.

        Where its ground has nothing more to do, it goes to one where nobody is, else to the one with most to do.
        """
        self._standing[ground] -= 1
        for block in sorted({_block(task) for task in self.waiting}):
            due = [task for task in self.waiting if _block(task) == block]
            left = Counter(each.ground.name for each, _ in due)
            if ground not in left:
                worth = [name for name, count in left.items() if not self._standing[name] or count > FEW]
                if not worth:
                    continue
                ground = max(worth, key=lambda name: (not self._standing[name], left[name]))
            self._standing[ground] += 1
            found = next(task for task in due if task[0].ground.name == ground)
            self.waiting.remove(found)
            return found
        return None


def _block(task: Task) -> int:
    return (task[1] - 1) // BLOCK
