"""Where a measure stands: its newest figure, those of its regions, and how fresh they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from measures.domain.measure import Figure, Measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """Of one wave: responses counted and when the last was, responses that wait as letters and would belong to it.

    `numbers` are the last events of responses applied, per partition of their topic, whatever their wave.
    """

    wave_id: str
    as_of: datetime | None
    responses: int
    parked: int
    numbers: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """`figure` is None for a regional measure and before anybody answered; `regions` are sorted by code."""

    measure: Measure
    settings_version: int
    synthetic: bool
    figure: Figure | None
    regions: tuple[Figure, ...]
    freshness: Freshness | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """All measures, of real data or of synthetic, never of both."""

    synthetic: bool
    settings_version: int
    standings: tuple[Standing, ...]
