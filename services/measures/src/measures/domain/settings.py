"""Everything a verdict depends on that is a choice and no fact, in one versioned value."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

Frequency = Literal["twice a year", "every two years"]
Reading = Literal["points", "relative"]
BaselineTreatment = Literal["published numbers", "estimates"]
StakeholderDimension = Literal["survey segment", "landscape category"]


class InvalidSettings(ValueError):
    """A setting that is unknown, of the wrong kind or outside its range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The named choices; a change makes a new version, and a figure carries the version it was judged by.

    Shares are decimals: 0.02 is two percentage points. AMB numbers are the ambiguities of the strategy; the defaults are
    the suggested ones.

    - `level` confidence of each one-sided bound; `power` with which "needs n" would settle a difference; `too_close`
      distance to a threshold under which no number of answers is named; `display_level` of the interval shown.
    - `suppression_base` smallest base that is shown; `census_smallest_side` people that must stand on either side of a
      census of a smaller population so that nobody is singled out.
    - `baselines_are` "published numbers" (taken as exact) or "estimates" where `baseline_bases` names their base.
    - `bi_annual`, `bi_annual_exceptions` by measure id: AMB1, twice a year.
    - `annual_increase`, `annual_increase_reading`: AMB2, two percentage points from the baseline a year; the other
      reading is shown beside it.
    - `floor_amber`, `floor_red`, `floor_holm`: AMB3, more than 2 and 3 points below all, with statistical support
      corrected over the regions of a measure.
    - `maintained_margin`: AMB4, how far below the baseline still counts as maintained, 2 points.
    - `trend_waves`: AMB5, at least 3 waves; before that "too early".
    - `young_age_band`, `young_age_band_complaints`: AMB6, 18-24 in the tracker and, undefined there, among complaints.
    - `ethnic_minority_group`, `ethnic_minority_label`: AMB7, one coded group whatever the text calls it, and its label.
    - `stakeholder_group_dimension`: AMB8, the stakeholder survey is split by survey segment, never by landscape category.
    - `wording_breaks_series`: AMB9, another wording of a question is another series and never compared.
    - `easy_counts`: AMB10, the answers that "Easy" means; `known_baselines` and `baseline_bases` by measure id: figures
      that the annex lacks, loaded as data when known (none are; such measures are flagged "baseline unknown").
    - `linked_measures` by measure id: AMB11, both readings of a measure are kept and linked.
    """

    version: int = 1
    level: Decimal = Decimal("0.95")
    power: Decimal = Decimal("0.80")
    too_close: Decimal = Decimal("0.005")
    display_level: Decimal = Decimal("0.95")
    suppression_base: int = 30
    census_smallest_side: int = 2
    baselines_are: BaselineTreatment = "published numbers"
    bi_annual: Frequency = "twice a year"
    bi_annual_exceptions: Mapping[str, Frequency] = field(default_factory=dict)
    annual_increase: Decimal = Decimal("0.02")
    annual_increase_reading: Reading = "points"
    floor_amber: Decimal = Decimal("0.02")
    floor_red: Decimal = Decimal("0.03")
    floor_holm: bool = True
    maintained_margin: Decimal = Decimal("0.02")
    trend_waves: int = 3
    young_age_band: str = "18-24"
    young_age_band_complaints: str = "18-24"
    ethnic_minority_group: str = "bame"
    ethnic_minority_label: str = "Black, Asian and minority ethnic"
    stakeholder_group_dimension: StakeholderDimension = "survey segment"
    wording_breaks_series: bool = True
    easy_counts: tuple[str, ...] = ("very-easy", "fairly-easy")
    known_baselines: Mapping[str, Decimal] = field(default_factory=dict)
    baseline_bases: Mapping[str, int] = field(default_factory=dict)
    linked_measures: Mapping[str, str] = field(default_factory=lambda: {"COR-4": "PPT-1b"})

    def __post_init__(self) -> None:
        half, one = Decimal("0.5"), Decimal(1)
        allowed = {
            "version is at least 1": self.version >= 1,
            "level lies between 0.5 and 1": half < self.level < one,
            "display_level lies between 0.5 and 1": half < self.display_level < one,
            "power lies between 0.5 and 1": half < self.power < one,
            "too_close is a share, not 0": 0 < self.too_close < one,
            "suppression_base is at least 1": self.suppression_base >= 1,
            "census_smallest_side is at least 1": self.census_smallest_side >= 1,
            "annual_increase is a share": 0 <= self.annual_increase < one,
            "maintained_margin is a share": 0 <= self.maintained_margin < one,
            "floor_amber is a share": 0 <= self.floor_amber < one,
            "floor_red is a share, at least floor_amber": self.floor_amber <= self.floor_red < one,
            "trend_waves is at least 2": self.trend_waves >= 2,  # noqa: PLR2004 (two points make a line)
            "easy_counts names at least one answer": bool(self.easy_counts),
            "known_baselines are shares": all(0 <= share <= 1 for share in self.known_baselines.values()),
            "baseline_bases are at least 1": all(base >= 1 for base in self.baseline_bases.values()),
        }
        if broken := [rule for rule, holds in allowed.items() if not holds]:
            raise InvalidSettings("; ".join(broken))

    @property
    def error(self) -> float:
        """How often each one-sided bound may be wrong: 0.05."""
        return float(1 - self.level)

    def changed(self, **changes: object) -> Self:
        """The next version. Names and values as in `to_dict`. Raises InvalidSettings."""
        if "version" in changes:
            raise InvalidSettings("the version follows from the change")
        return self.from_dict(self.to_dict() | changes | {"version": self.version + 1})

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values; decimals as strings."""
        return {each.name: _plain(getattr(self, each.name)) for each in dataclasses.fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Self:
        """The settings a dict describes; names left out take their default. Raises InvalidSettings."""
        kinds = get_type_hints(cls)
        if unknown := sorted(set(values) - set(kinds)):
            raise InvalidSettings(f"unknown settings: {', '.join(unknown)}")
        read: dict[str, Any] = {name: _read(name, value, kinds[name]) for name, value in values.items()}
        return cls(**read)


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _read(name: str, value: object, kind: object) -> object:
    """A plain value as the kind a setting is declared with."""
    of = get_origin(kind)
    if kind is Decimal and isinstance(value, (str, int, Decimal)) and not isinstance(value, bool):
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise InvalidSettings(f"{name} is a decimal number, not {value!r}") from None
        if number.is_finite():
            return number
    elif of is Literal and value in get_args(kind):
        return value
    elif of is tuple and isinstance(value, (list, tuple)):
        return tuple(_read(name, each, str) for each in value)
    elif of is not None and of is not Literal and isinstance(value, Mapping):
        return {_read(name, key, str): _read(name, each, get_args(kind)[1]) for key, each in value.items()}
    elif isinstance(kind, type) and of is None and type(value) is kind:
        return value
    raise InvalidSettings(f"{name} cannot be {value!r}")
