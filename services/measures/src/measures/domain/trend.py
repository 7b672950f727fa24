"""Is a series of waves going up? Weighted least squares over the waves' ordinals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from measures.domain.cells import Cells
from measures.domain.interval import Estimate, Sample, normal, sequence


@dataclass(frozen=True, slots=True)
class Point:
    """One wave of a trend: where it stands in time, what it found, whether answers still arrive."""

    ordinal: int
    sample: Sample
    is_open: bool = False

    @classmethod
    def of(cls, ordinal: int, cells: Cells, population: int | None, *, is_open: bool) -> "Point":
        """A census counts as if one person were missing, so that its weight stays finite."""
        assumed = population + 1 if population == cells.n else population
        return cls(ordinal, Sample.of(cells, assumed), is_open)

    @property
    def weight(self) -> float:
        """m/(p̃(1-p̃)) with p̃ = (pm+2)/(m+4), which never is 0 or 1."""
        m = self.sample.size
        softened = (self.sample.share * m + 2) / (m + 4)
        return m / (softened * (1 - softened))


def slope(points: Sequence[Point], error: float) -> Estimate:
    """Change of the share per ordinal, bounds slope ± z/√Sxx.

    A wave that is still open brings the distance to its anytime-valid bounds instead of z standard errors.
    Raises ValueError unless there are two points at different ordinals.
    """
    total = sum(point.weight for point in points)
    if len({point.ordinal for point in points}) < 2:  # noqa: PLR2004 (two points make a line)
        raise ValueError("a trend needs two waves")
    centre = sum(point.weight * point.ordinal for point in points) / total
    spread = sum(point.weight * (point.ordinal - centre) ** 2 for point in points)
    pulls = [point.weight * (point.ordinal - centre) / spread for point in points]
    value = sum(pull * point.sample.share for pull, point in zip(pulls, points, strict=True))
    z = normal(1 - error)
    down, up = 0.0, 0.0
    for pull, point in zip(pulls, points, strict=True):
        if point.is_open:
            open_bounds = sequence(point.sample, error)
            fall, rise = point.sample.share - open_bounds.low, open_bounds.high - point.sample.share
        else:
            fall = rise = z / math.sqrt(point.weight)
        if pull < 0:
            fall, rise = rise, fall
        down, up = math.hypot(down, pull * fall), math.hypot(up, pull * rise)
    return Estimate(value, value - down, value + up)
