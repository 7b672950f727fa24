"""How far a share may lie from the truth: Wilson, Clopper and Pearson, and an anytime-valid confidence sequence."""

import math
from dataclasses import dataclass
from typing import Self

from scipy.special import betaincinv, betaln, ndtri

from measures.domain.cells import Cells

SMALL_STEP = 1e-9
"""Of Newton's method, relative to a share or to what it lacks to 1."""


@dataclass(frozen=True, slots=True)
class Bounds:
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value (share, difference or slope) with its one-sided lower and upper bound."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Sample:
    """A share and the base its intervals are built on: hits + misses = size, none of them need be an integer.

    A census (everyone of a known population answered) has an infinite size and intervals without width.
    """

    share: float
    hits: float
    misses: float
    size: float

    @classmethod
    def of(cls, cells: Cells, population: int | None = None) -> Self:
        """Effective base and finite population taken into account: m = effective base * (N-1)/(N-n).

        Every number is one division of exact integers, so it is rounded once. A population smaller than the base cannot
        be right and is ignored. Raises ZeroDivisionError on an empty base.
        """
        scale, parts = cells.w, cells.ww
        if population is not None and population == cells.n:
            return cls(cells.share, math.inf, math.inf, math.inf)
        if population is not None and population > cells.n:
            scale, parts = scale * (population - 1), parts * (population - cells.n)
        return cls(cells.share, cells.wy * scale / parts, (cells.w - cells.wy) * scale / parts, cells.w * scale / parts)

    @classmethod
    def of_share(cls, share: float, size: float) -> Self:
        """For figures published as a share and a base."""
        return cls(share, share * size, (1 - share) * size, size)

    @property
    def census(self) -> bool:
        return math.isinf(self.size)


def normal(confidence: float) -> float:
    """The quantile of the normal distribution: 0.95 gives 1.6449."""
    return float(ndtri(confidence))


def wilson(sample: Sample, z: float) -> Bounds:
    """Wilson's score interval with z standard errors to each side."""
    if sample.census:
        return Bounds(sample.share, sample.share)
    m, p = sample.size, sample.share
    centre = (p + z * z / (2 * m)) / (1 + z * z / m)
    half = z / (1 + z * z / m) * math.sqrt(p * (1 - p) / m + z * z / (4 * m * m))
    low = 0.0 if sample.hits == 0 else min(p, max(0.0, centre - half))
    high = 1.0 if sample.misses == 0 else max(p, min(1.0, centre + half))
    return Bounds(low, high)


def exact(sample: Sample, error: float) -> Bounds:
    """One-sided bounds of Clopper and Pearson, each wrong at most `error` of the time.

    With an effective base they are Korn and Graubard's.
    """
    if sample.census:
        return Bounds(sample.share, sample.share)
    k, rest = sample.hits, sample.misses
    low = 0.0 if k == 0 else float(betaincinv(k, rest + 1, error))
    high = 1.0 if rest == 0 else float(betaincinv(k + 1, rest, 1 - error))
    return Bounds(min(low, sample.share), max(high, sample.share))


def sequence(sample: Sample, error: float) -> Bounds:
    """Bounds that hold at every moment of an open wave at once, each wrong at most `error` of the time.

    All q with B(k+1, m-k+1) / (q^k (1-q)^(m-k)) < 1/(2·error): the Beta(1,1) mixture (Robbins 1970; Howard, Ramdas,
    McAuliffe and Sekhon 2021). The logarithm of the left side is convex with its minimum at the share.
    """
    if sample.census:
        return Bounds(sample.share, sample.share)
    k, rest = sample.hits, sample.misses
    least = float(betaln(k + 1, rest + 1)) + math.log(2 * error)
    low = 0.0 if k == 0 else _edge(least, k, rest, sample.share, 0.0)
    high = 1.0 if rest == 0 else _edge(least, k, rest, sample.share, 1.0)
    return Bounds(low, high)


def _edge(least: float, k: float, rest: float, share: float, end: float) -> float:
    """Where least - k·ln q - rest·ln(1-q), below 0 at the share, rises to 0 on the way to this end.

    Newton's steps from where a parabola would have it, and halving where one leads out: some six evaluations, not the
    fifty of halving alone. A step this small leaves an error of its square.
    """
    inside, outside = share, end
    depth = least - (k * math.log(share) if k else 0.0) - (rest * math.log1p(-share) if rest else 0.0)
    q = share + math.copysign(math.sqrt(-2 * depth * share * (1 - share) / (k + rest)), end - share)
    while True:
        if not min(inside, outside) < q < max(inside, outside):
            q = (inside + outside) / 2
            if q in (inside, outside):
                return inside
        height = least - (k * math.log(q) if k else 0.0) - (rest * math.log1p(-q) if rest else 0.0)
        step = height / (rest / (1 - q) - k / q)
        if abs(step) < SMALL_STEP * min(q, 1 - q):
            return q - step
        if height < 0:
            inside = q
        else:
            outside = q
        q -= step


def bounds(sample: Sample, error: float, *, is_open: bool) -> Bounds:
    """The bounds a verdict uses: anytime-valid while the wave is open, exact once it is closed."""
    return sequence(sample, error) if is_open else exact(sample, error)


def limits(sample: Sample, error: float, *, is_open: bool) -> Bounds:
    """The bounds a difference is built from: Wilson's score limits, anytime-valid ones while the wave is open."""
    return sequence(sample, error) if is_open else wilson(sample, normal(1 - error))
