"""What a judgement is made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from measures.domain.cells import Cells


@dataclass(frozen=True, slots=True)
class Wave:
    """What one wave found for one measure.

    `ordinal` places it in time and gives the unit of a slope; `population` is N where everyone who could be asked is
    known; `series` is that of the question's version the wave was asked with.
    """

    ordinal: int
    cells: Cells
    is_open: bool = False
    population: int | None = None
    series: int = 1


@dataclass(frozen=True, slots=True)
class Evidence:
    """The wave to judge, the programme year its target belongs to (0 is the baseline's own year), the waves before it.

    The earliest of them with answers to the same series is the baseline wave of an improvement target. `unknown` are
    complaints whose group nobody noted (their n and Σw).
    """

    wave: Wave
    year: int
    earlier: tuple[Wave, ...] = ()
    unknown: Cells = field(default_factory=Cells)


@dataclass(frozen=True, slots=True)
class RegionalEvidence:
    """A wave of everyone and the same wave's cells per region; answers without a region are in `everyone` only."""

    everyone: Wave
    regions: Mapping[str, Cells]
