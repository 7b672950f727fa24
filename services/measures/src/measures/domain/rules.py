"""One function a rule: from evidence to a finding. None of them is asked about a suppressed figure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from measures.domain.definition import MeasureDefinition, Rule
from measures.domain.difference import difference
from measures.domain.evidence import Evidence, Wave
from measures.domain.interval import Bounds, Estimate, Sample, bounds, limits
from measures.domain.settings import Settings
from measures.domain.trend import Point, slope
from measures.domain.verdict import Qualifier, Severity, Statistic, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A verdict with what it rests on. `estimate` and `threshold` are in the unit of `statistic`."""

    verdict: Verdict
    reason: str
    statistic: Statistic = Statistic.SHARE
    estimate: Estimate | None = None
    threshold: float | None = None
    other_reading: float | None = None
    qualifier: Qualifier | None = None
    severity: Severity | None = None
    unknown_low: float | None = None
    unknown_high: float | None = None


def annual_increase(definition: MeasureDefinition, settings: Settings, evidence: Evidence) -> Finding:
    """`p2`: a fixed increase a year from the baseline; in points unless the settings say relative."""
    if refused := _without_baseline(definition, settings, evidence):
        return refused
    baseline = definition.baseline or Decimal(0)
    points = min(baseline + settings.annual_increase * evidence.year, Decimal(1))
    relative = min(baseline * (1 + settings.annual_increase) ** evidence.year, Decimal(1))
    wanted, other = (points, relative) if settings.annual_increase_reading == "points" else (relative, points)
    estimate = _against_baseline(definition, settings, evidence.wave, baseline)
    return _at_least(estimate, float(wanted), other_reading=float(other))


def maintain(definition: MeasureDefinition, settings: Settings, evidence: Evidence) -> Finding:
    """`mori`: not worse than the baseline by more than the margin; improved where above the baseline itself."""
    if refused := _without_baseline(definition, settings, evidence):
        return refused
    baseline = definition.baseline or Decimal(0)
    wanted = max(baseline - settings.maintained_margin, Decimal(0))
    estimate = _against_baseline(definition, settings, evidence.wave, baseline)
    improved = Qualifier.IMPROVED if estimate.low > float(baseline) else Qualifier.MAINTAINED
    return _at_least(estimate, float(wanted), qualifier=improved)


def above(definition: MeasureDefinition, settings: Settings, evidence: Evidence) -> Finding:
    """`gt`: strictly above a number; answers of unknown group are shown in the worst case either way."""
    wave, wanted = evidence.wave, float(definition.threshold or 0)
    estimate = _share(wave, settings)
    if estimate.low > wanted:
        verdict, reason = Verdict.MET, f"at least {_points(estimate.low)}, above {_points(wanted)}"
    elif estimate.high <= wanted:
        verdict, reason = Verdict.NOT_MET, f"at most {_points(estimate.high)}, not above {_points(wanted)}"
    else:
        verdict, reason = Verdict.CANNOT_TELL, _between(estimate, wanted)
    low = high = None
    if evidence.unknown.w:
        everything = wave.cells.w + evidence.unknown.w
        low, high = wave.cells.wy / everything, (wave.cells.wy + evidence.unknown.w) / everything
        reason += f"; with {evidence.unknown.n} of unknown group it lies between {_points(low)} and {_points(high)}"
    return Finding(
        verdict=verdict, reason=reason, estimate=estimate, threshold=wanted, unknown_low=low, unknown_high=high
    )


def improve(_: MeasureDefinition, settings: Settings, evidence: Evidence) -> Finding:
    """`improve`: better than the baseline wave, whatever by how much."""
    if not _answered(evidence):
        return Finding(verdict=Verdict.NO_BASELINE, reason="no earlier wave to compare with")
    comparable = _same_series(settings, evidence)
    if not comparable:
        return Finding(verdict=Verdict.SERIES_BROKEN, reason="every earlier wave asked another question")
    baseline = min(comparable, key=lambda wave: wave.ordinal)
    if baseline.cells.n < settings.suppression_base:
        return Finding(
            verdict=Verdict.NO_BASELINE, reason=f"the baseline wave has fewer than {settings.suppression_base} answers"
        )
    now, then = (_sample(wave) for wave in (evidence.wave, baseline))
    estimate = difference(now, _limits(evidence.wave, settings), then, _limits(baseline, settings))
    return _direction(estimate, Statistic.DIFFERENCE, "difference to the baseline wave")


def upwards(_: MeasureDefinition, settings: Settings, evidence: Evidence) -> Finding:
    """`up`: the slope over all waves of the series, once there are enough of them."""
    least = settings.trend_waves
    waves = sorted((*_same_series(settings, evidence), evidence.wave), key=lambda wave: wave.ordinal)
    if len(waves) < least:
        if 1 + len(_answered(evidence)) >= least:
            return Finding(verdict=Verdict.SERIES_BROKEN, reason=f"fewer than {least} waves asked the same question")
        return Finding(verdict=Verdict.TOO_EARLY, reason=f"{len(waves)} of the {least} waves that a trend needs")
    points = [Point.of(wave.ordinal, wave.cells, wave.population, is_open=wave.is_open) for wave in waves]
    return _direction(slope(points, settings.error), Statistic.SLOPE, f"change a wave over {len(waves)} waves")


def monitor(_: MeasureDefinition, settings: Settings, evidence: Evidence) -> Finding:
    """`monitor`: shown, never judged."""
    return Finding(verdict=Verdict.MONITORED, reason="there is no target", estimate=_share(evidence.wave, settings))


RULES: Mapping[Rule, Callable[[MeasureDefinition, Settings, Evidence], Finding]] = {
    Rule.ANNUAL_INCREASE: annual_increase,
    Rule.MAINTAIN: maintain,
    Rule.ABOVE: above,
    Rule.IMPROVE: improve,
    Rule.UPWARDS: upwards,
    Rule.MONITOR: monitor,
}


def _without_baseline(definition: MeasureDefinition, settings: Settings, evidence: Evidence) -> Finding | None:
    """Why a published baseline cannot be used, or None."""
    if definition.baseline is None:
        return Finding(verdict=Verdict.NO_BASELINE, reason="the baseline is unknown")
    if settings.wording_breaks_series and evidence.wave.series != definition.series:
        return Finding(verdict=Verdict.SERIES_BROKEN, reason="the baseline was measured with another question")
    if evidence.year < 1:
        return Finding(
            verdict=Verdict.TOO_EARLY,
            reason="the first target is due in year 1",
            estimate=_share(evidence.wave, settings),
        )
    return None


def _answered(evidence: Evidence) -> list[Wave]:
    """Earlier waves in which this was asked, and somebody answered."""
    return [wave for wave in evidence.earlier if wave.cells.w]


def _same_series(settings: Settings, evidence: Evidence) -> list[Wave]:
    """Earlier waves that have answers and may be compared with this one."""
    return [
        wave
        for wave in _answered(evidence)
        if wave.series == evidence.wave.series or not settings.wording_breaks_series
    ]


def _sample(wave: Wave) -> Sample:
    return Sample.of(wave.cells, wave.population)


def _limits(wave: Wave, settings: Settings) -> Bounds:
    return limits(_sample(wave), settings.error, is_open=wave.is_open)


def _share(wave: Wave, settings: Settings) -> Estimate:
    found = bounds(_sample(wave), settings.error, is_open=wave.is_open)
    return Estimate(wave.cells.share, found.low, found.high)


def _against_baseline(definition: MeasureDefinition, settings: Settings, wave: Wave, baseline: Decimal) -> Estimate:
    """The share with its bounds; they carry the baseline's own uncertainty where it is treated as an estimate."""
    if settings.baselines_are == "published numbers" or definition.baseline_base is None:
        return _share(wave, settings)
    then = Sample.of_share(float(baseline), definition.baseline_base)
    then_limits = limits(then, settings.error, is_open=False)
    change = difference(_sample(wave), _limits(wave, settings), then, then_limits)
    return Estimate(wave.cells.share, then.share + change.low, then.share + change.high)


def _at_least(
    estimate: Estimate, wanted: float, *, other_reading: float | None = None, qualifier: Qualifier | None = None
) -> Finding:
    if estimate.low >= wanted:
        verdict, reason = Verdict.MET, f"at least {_points(estimate.low)}, {_points(wanted)} was wanted"
    elif estimate.high < wanted:
        verdict, reason = Verdict.NOT_MET, f"at most {_points(estimate.high)}, {_points(wanted)} was wanted"
    else:
        verdict, reason = Verdict.CANNOT_TELL, _between(estimate, wanted)
    return Finding(
        verdict=verdict,
        reason=reason,
        estimate=estimate,
        threshold=wanted,
        other_reading=other_reading,
        qualifier=qualifier if verdict is Verdict.MET else None,
    )


def _direction(estimate: Estimate, statistic: Statistic, what: str) -> Finding:
    if estimate.low > 0:
        verdict = Verdict.MET
    elif estimate.high < 0:
        verdict = Verdict.NOT_MET
    else:
        verdict = Verdict.CANNOT_TELL
    reason = f"{what}: {_signed(estimate.value)}, from {_signed(estimate.low)} to {_signed(estimate.high)}"
    return Finding(verdict=verdict, reason=reason, statistic=statistic, estimate=estimate, threshold=0.0)


def _between(estimate: Estimate, wanted: float) -> str:
    return f"{_points(wanted)} lies between the bounds {_points(estimate.low)} and {_points(estimate.high)}"


def _points(share: float) -> str:
    return f"{100 * share:.2f} %"


def _signed(share: float) -> str:
    return f"{100 * share:+.2f} points"
