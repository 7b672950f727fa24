"""The faults that are injected, by their numbers, and how one repetition of one of them goes."""

import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.faults.checker import check
from tests.faults.evidence import gather
from tests.faults.scene import PATIENCE, Ground, Scene

RECOVERS_WITHIN = 60.0
"""Seconds from the end of a fault until a new write is acknowledged and counted, and everything is ready (I8)."""
MEMORY = 400.0
"""MiB that no process of ours may exceed (I7)."""

Inject = Callable[[Scene], Awaitable[int]]
"""Injects the fault while load flows; how many times it did. What it broke for good it mends before it returns."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`id` is that of the catalogue; `what` says it in words; `limits` what could not be injected here, and why."""

    id: str
    what: str
    inject: Inject
    ground: Ground
    limits: str = ""


FAULTS: dict[str, Fault] = {}


def fault(id_: str, what: str, *, on: Ground = Ground(), limits: str = "") -> Callable[[Inject], Inject]:  # noqa: B008 - frozen
    """Declares an injection as the fault of this number."""

    def declare(inject: Inject) -> Inject:
        if id_ in FAULTS:
            raise ValueError(f"there are two of {id_}")
        FAULTS[id_] = Fault(id_, what, inject, on, limits)
        return inject

    return declare


@dataclass(slots=True)
class Repetition:
    """What one repetition showed. `recovery`: seconds, see RECOVERS_WITHIN; `findings` is empty where all held."""

    fault: str
    seed: str
    injections: int = 0
    acknowledged: int = 0
    unknown: int = 0
    refused: int = 0
    lost: int = 0
    doubled: int = 0
    out_of_order: int = 0
    recovery: float = 0.0
    seconds: float = 0.0
    memory: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)
    findings: dict[str, list[str]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


async def repeat(scene: Scene, chosen: Fault, seed: str) -> Repetition:
    """Load, fault, recovery, evidence, verdict. A failed wait is a finding like any other, and so is any other failure."""
    done = Repetition(chosen.id, seed)
    began = time.monotonic()
    scene.dice = random.Random(seed)
    scene.figures = done.figures
    before = len(scene.ledger.promises), len(scene.ledger.unknown), scene.ledger.refused
    try:
        async with scene.new_load() as load:
            await scene.flows()
            done.injections = await chosen.inject(scene)
            ended = time.monotonic()
            await scene.returns()
            done.recovery = time.monotonic() - ended
            await scene.flows()
        del load
        await scene.rapport.settled(seconds=PATIENCE)
    except Exception as error:  # noqa: BLE001 - the run goes on with the next one
        done.findings["I8"] = [str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"]
        with contextlib.suppress(Exception):  # what is still under way is not lost
            await scene.returns()
            await scene.rapport.settled(seconds=PATIENCE)
    try:
        evidence = await gather(scene.rapport)
    except Exception as error:  # noqa: BLE001 - what cannot be read cannot be judged
        done.findings.setdefault("I8", []).append(f"the evidence cannot be read: {type(error).__name__}: {error}")
        return done
    verdict = check(scene.ledger, evidence, scene.rapport.consumed, scene.expected)
    done.acknowledged = len(scene.ledger.promises) - before[0]
    done.unknown = len(scene.ledger.unknown) - before[1]
    done.refused = scene.ledger.refused - before[2]
    done.lost, done.doubled, done.out_of_order = verdict.lost, verdict.doubled, verdict.out_of_order
    for invariant, found in verdict.findings.items():
        done.findings.setdefault(invariant, []).extend(found)
    memory = scene.memory()
    done.memory = max(memory.values(), default=0.0)
    if large := [f"{name} held {held:.0f} MiB" for name, held in memory.items() if held > MEMORY]:
        done.findings["I7"] = large
    if done.recovery > RECOVERS_WITHIN:
        done.findings.setdefault("I8", []).append(f"back after {done.recovery:.0f} s only")
    done.seconds = time.monotonic() - began
    return done
