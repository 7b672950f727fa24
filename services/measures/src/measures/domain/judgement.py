"""From evidence to the figure and its verdict: the one entry point for every rule but the regional floor."""

from dataclasses import dataclass, replace

from measures.domain.cells import Cells
from measures.domain.definition import MeasureDefinition, Rule
from measures.domain.evidence import Evidence, Wave
from measures.domain.interval import Sample, normal, wilson
from measures.domain.rules import RULES, Finding
from measures.domain.sample_size import TooClose, needs_n
from measures.domain.settings import Settings
from measures.domain.verdict import Qualifier, Severity, Statistic, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A figure and what may be said of it. Shares are fractions of 1.

    `interval_base` is m, None in a census (no interval has any width). `wilson_low/high` is the interval to show;
    `estimate`, `bound_low/high` and `threshold` are what the verdict rests on, in the unit of `statistic`. A suppressed
    judgement carries the base and none of the figures. `needs_n` comes with "cannot tell" where the threshold is a
    share: people to ask in all, or "too close to call". `provisional`: the wave is open. `unknown_low/high` are the
    worst cases of complaints whose group is unknown.
    """

    measure: str
    definition_version: int
    settings_version: int
    rule: Rule
    region: str | None = None
    verdict: Verdict
    reason: str
    provisional: bool
    base: int
    share: float | None = None
    effective_base: float | None = None
    population: int | None = None
    census: bool = False
    interval_base: float | None = None
    wilson_low: float | None = None
    wilson_high: float | None = None
    statistic: Statistic = Statistic.SHARE
    estimate: float | None = None
    bound_low: float | None = None
    bound_high: float | None = None
    threshold: float | None = None
    other_reading: float | None = None
    qualifier: Qualifier | None = None
    severity: Severity | None = None
    needs_n: int | TooClose | None = None
    unknown_low: float | None = None
    unknown_high: float | None = None


def judge(definition: MeasureDefinition, settings: Settings, evidence: Evidence) -> Judgement:
    """The same evidence gives the same judgement to the last bit. Raises ValueError for a floor: see judge_regions."""
    if definition.rule not in RULES:
        raise ValueError(f"{definition.id} is judged region by region")
    wave = evidence.wave
    if suppressed(wave, settings):
        finding = suppression(settings)
    else:
        finding = RULES[definition.rule](definition, settings, evidence)
    return conclude(definition, settings, wave, finding)


def suppressed(wave: Wave, settings: Settings) -> bool:
    """Whether the base is too small to show, or to judge.

    A census of a small population is shown where enough people stand on either side that nobody is singled out.
    """
    cells = wave.cells
    if cells.n >= settings.suppression_base:
        return False
    least = settings.census_smallest_side
    census = wave.population == cells.n
    return not (
        census and cells.n and _people(cells.wy, cells) >= least and _people(cells.w - cells.wy, cells) >= least
    )


def suppression(settings: Settings) -> Finding:
    return Finding(verdict=Verdict.SUPPRESSED, reason=f"fewer than {settings.suppression_base} answers")


def conclude(
    definition: MeasureDefinition, settings: Settings, wave: Wave, finding: Finding, region: str | None = None
) -> Judgement:
    """The figure of the wave together with the finding."""
    bare = Judgement(
        measure=definition.id,
        definition_version=definition.version,
        settings_version=settings.version,
        rule=definition.rule,
        region=region,
        verdict=finding.verdict,
        reason=finding.reason,
        provisional=wave.is_open,
        base=wave.cells.n,
        population=wave.population,
        statistic=finding.statistic,
    )
    if finding.verdict is Verdict.SUPPRESSED:
        return bare
    sample = Sample.of(wave.cells, wave.population)
    shown = wilson(sample, normal((1 + float(settings.display_level)) / 2))
    estimate = finding.estimate
    return replace(
        bare,
        share=sample.share,
        effective_base=wave.cells.effective_base,
        census=sample.census,
        interval_base=None if sample.census else sample.size,
        wilson_low=shown.low,
        wilson_high=shown.high,
        estimate=estimate.value if estimate else None,
        bound_low=estimate.low if estimate else None,
        bound_high=estimate.high if estimate else None,
        threshold=finding.threshold,
        other_reading=finding.other_reading,
        qualifier=finding.qualifier,
        severity=finding.severity,
        needs_n=_needed(settings, wave, finding),
        unknown_low=finding.unknown_low,
        unknown_high=finding.unknown_high,
    )


def _needed(settings: Settings, wave: Wave, finding: Finding) -> int | TooClose | None:
    undecided = finding.verdict is Verdict.CANNOT_TELL and finding.statistic is Statistic.SHARE
    if not undecided or finding.threshold is None:
        return None
    return needs_n(wave.cells, wave.population, finding.threshold, settings)


def _people(weight: int, cells: Cells) -> int:
    """How many people a part of the weight stands for."""
    return weight * cells.n // cells.w
