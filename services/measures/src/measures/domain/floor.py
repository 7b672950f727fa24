"""No region far below everyone: the regional floor with Holm's correction over the regions of a measure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from measures.domain.cells import Cells
from measures.domain.definition import MeasureDefinition, Rule
from measures.domain.difference import difference
from measures.domain.evidence import RegionalEvidence, Wave
from measures.domain.interval import Estimate, Sample, limits
from measures.domain.judgement import Judgement, conclude, suppressed, suppression
from measures.domain.rules import Finding
from measures.domain.settings import Settings
from measures.domain.verdict import Severity, Statistic, Verdict


@dataclass(frozen=True, slots=True)
class Gap:
    """One region against everyone in the same wave: d = (1-f)(share of the region - share of the rest)."""

    region: Cells
    everyone: Cells
    is_open: bool

    @property
    def value(self) -> float:
        """The same as share of the region - share of everyone, as one division of integers."""
        region, everyone = self.region, self.everyone
        return (region.wy * everyone.w - everyone.wy * region.w) / (region.w * everyone.w)

    def estimate(self, error: float) -> Estimate:
        """Newcombe's interval of region - rest, each bound wrong at most `error` of the time, times (1-f)."""
        rest = self.everyone - self.region
        here, there = Sample.of(self.region), Sample.of(rest)
        apart = difference(
            here,
            limits(here, error, is_open=self.is_open),
            there,
            limits(there, error, is_open=self.is_open),
        )
        part = rest.w / self.everyone.w
        value = self.value
        return Estimate(value, value - part * (apart.value - apart.low), value + part * (apart.high - apart.value))


def judge_regions(
    definition: MeasureDefinition, settings: Settings, evidence: RegionalEvidence
) -> dict[str, Judgement]:
    """A judgement per region, in the order given.

    Three families of claims are corrected each for itself: "met", "at least amber" and "red". Regions too small to show,
    and those with too small a rest, make no claim. Raises ValueError where the rule is not a floor.
    """
    if definition.rule is not Rule.FLOOR:
        raise ValueError(f"{definition.id} is no regional floor")
    wave = evidence.everyone
    waves = {
        name: Wave(wave.ordinal, cells, wave.is_open, None, wave.series) for name, cells in evidence.regions.items()
    }
    gaps = {
        name: Gap(each.cells, wave.cells, wave.is_open)
        for name, each in waves.items()
        if not suppressed(each, settings) and (wave.cells - each.cells).n >= settings.suppression_base
    }
    amber, red = -float(settings.floor_amber), -float(settings.floor_red)

    @cache  # the families ask for the same ones
    def estimate(name: str, error: float) -> Estimate:
        return gaps[name].estimate(error)

    met = _claims(gaps, settings, estimate, lambda gap: gap.low >= amber)
    below = _claims(gaps, settings, estimate, lambda gap: gap.high < amber)
    far_below = _claims(gaps, settings, estimate, lambda gap: gap.high < red)

    def finding(name: str) -> Finding:
        if name not in gaps:
            return suppression(settings)
        low, high = met[name].estimate.low, below[name].estimate.high
        verdict, severity = Verdict.CANNOT_TELL, None
        if met[name].holds:
            verdict = Verdict.MET
        elif below[name].holds:
            verdict, severity = Verdict.NOT_MET, Severity.RED if far_below[name].holds else Severity.AMBER
        value = gaps[name].value
        return Finding(
            verdict=verdict,
            severity=severity,
            reason=f"{100 * value:+.2f} points against everyone, from {100 * low:+.2f} to {100 * high:+.2f};"
            f" amber is below {100 * amber:g}, red below {100 * red:g}",
            statistic=Statistic.DIFFERENCE,
            estimate=Estimate(value, low, high),
            threshold=amber,
        )

    return {name: conclude(definition, settings, each, finding(name), name) for name, each in waves.items()}


@dataclass(frozen=True, slots=True)
class _Claim:
    holds: bool
    estimate: Estimate


def _claims(
    names: Iterable[str],
    settings: Settings,
    estimate: Callable[[str, float], Estimate],
    holds: Callable[[Estimate], bool],
) -> dict[str, _Claim]:
    """Holm's step-down without p-values: claims that hold at error/(claims left) leave, until none does."""
    claims: dict[str, _Claim] = {}
    left = list(names)
    while left:
        error = settings.error / len(left) if settings.floor_holm else settings.error
        tried = {name: estimate(name, error) for name in left}
        leaving = [name for name, tried_one in tried.items() if holds(tried_one)]
        claims |= {name: _Claim(name in leaving, tried_one) for name, tried_one in tried.items()}
        if not leaving:
            break
        left = [name for name in left if name not in leaving]
    return claims
