"""G13, the half of the API: the same POST with tracing at 10 %, at 0 %, and off.

A difference of some hundredths needs more rounds than a factor does: rounds are short and there are three times as many.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pymongo import AsyncMongoClient

from benchmarks.harness import Bound, Contestant, Goal, Measured, Scale, Servers, interleaved
from benchmarks.post import feedback
from benchmarks.processes import processes

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.harness import Round

SAMPLINGS: dict[str, float | None] = {
    "POST, traced at 10 %": 0.1,
    "POST, traced at 0 %": 0.0,
    "POST, tracing off": None,
}
TENTH, NONE, OFF = SAMPLINGS
CONNECTIONS = 64


def _ratio(ours: str, figure: str = "rate") -> Callable[[Round], float]:
    return lambda samples: getattr(samples[ours], figure) / getattr(samples[OFF], figure)


GOALS = (
    Goal(
        "G13",
        "what tracing costs a POST, 64 connections",
        "the same with tracing off",
        (
            Bound("rate, traced at 10 %", "≥", 0.9, _ratio(TENTH)),
            Bound("rate, traced at 0 %", "≥", 0.97, _ratio(NONE)),
            Bound("CPU per request, traced at 10 %", "≤", None, _ratio(TENTH, "cpu")),
            Bound("CPU per request, traced at 0 %", "≤", None, _ratio(NONE, "cpu")),
        ),
    ),
)


async def measure(servers: Servers, scale: Scale) -> Measured:
    async with processes(servers) as running, AsyncMongoClient[dict[str, Any]](servers.mongo_uri) as client:
        contestants = []
        for name, sampling in SAMPLINGS.items():
            ours = await feedback(running, sampling=sampling)
            database = client[f"{ours.prefix}-feedback"]
            contestants.append(
                Contestant(
                    name,
                    ours.runner(database["responses"], database["journal"], CONNECTIONS),
                    "Every duty of G1; spans go to a receiver that stores them."
                    if sampling
                    else "Every other duty of G1; trace ids are made and passed on, no span is kept.",
                )
            )
        more = replace(scale, repeats=scale.repeats * 3)
        return await interleaved(contestants, more, scale.size(1_500, 64), warmup=0.5)
