"""What the API shows of measures and their figures. Shares are fractions of 1."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from measures.domain.definition import Dimension, MeasureDefinition, Rule
from measures.domain.explanation import Recount
from measures.domain.judgement import Judgement
from measures.domain.measure import Figure
from measures.domain.population import Populations
from measures.domain.settings_history import SettingsHistory
from measures.domain.standing import Overview, Standing
from measures.domain.verdict import Qualifier, Severity, Statistic, Verdict
from measures.usecases.explain_figure import Explanation
from measures.usecases.list_lacking import Lacking
from measures.usecases.load_definitions import Loaded


class View(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class RangeView(View):
    low: float
    high: float


class JudgementView(View):
    verdict: Verdict
    words: str = Field(description="The verdict as people read it")
    reason: str
    provisional: bool = Field(description="The wave is still open")
    qualifier: Qualifier | None = Field(description="What met amounts to: improved, or maintained")
    severity: Severity | None = Field(description="How far a region is below everyone")
    share: float | None = Field(description="Null where it is suppressed")
    base: int = Field(description="Responses in the base, unweighted")
    effective_base: float | None = Field(description="Kish's, of weighted responses")
    population: int | None = Field(description="N, where everyone who could be asked is known")
    census: bool
    interval: RangeView | None = Field(description="95 % Wilson interval of the share, to be shown with it")
    statistic: Statistic = Field(description="What estimate, bounds and threshold are about")
    estimate: float | None
    bounds: RangeView | None = Field(description="The one-sided bounds the verdict rests on")
    threshold: float | None
    other_reading: float | None = Field(description="The threshold in the reading of the target that is not in force")
    needs_n: int | str | None = Field(description="People to ask in all to settle it, or: too close to call")
    unknown: RangeView | None = Field(description="The share in the worst cases of answers whose group is not known")
    definition_version: int
    settings_version: int

    @classmethod
    def of(cls, found: Judgement) -> Self:
        return cls.model_validate(cls.values(found))

    @classmethod
    def values(cls, found: Judgement) -> dict[str, Any]:
        """The fields, for views that hold more."""
        plain = {name: getattr(found, name) for name in JudgementView.model_fields if hasattr(found, name)}
        return plain | {
            "words": found.verdict.words,
            "interval": _range(found.wilson_low, found.wilson_high),
            "bounds": _range(found.bound_low, found.bound_high),
            "unknown": _range(found.unknown_low, found.unknown_high),
        }


class FigureView(JudgementView):
    measure: str
    title: str
    group: str
    subject_key: str = Field(description="Region code of a regional measure, otherwise all")
    wave_id: str
    ordinal: int
    year: int
    instrument: str
    question: str
    question_version: int
    synthetic: bool
    as_of: datetime | None = Field(description="When the last response was counted that this was judged with")
    responses: int = Field(description="How many responses of the wave had been counted by then")
    superseded: list[JudgementView] = Field(description="What earlier versions of definition or settings said")

    @classmethod
    def of(cls, found: Figure) -> Self:  # type: ignore[override]
        own = {name: getattr(found, name) for name in cls.model_fields if hasattr(found, name)}
        return cls.model_validate(
            JudgementView.values(found.judgement)
            | own
            | {"responses": found.through, "superseded": [JudgementView.of(each) for each in found.superseded]},
        )


class FreshnessView(View):
    wave_id: str
    as_of: datetime | None = Field(description="When the last response of the wave was counted")
    responses: int = Field(description="Responses of the wave that are counted")
    parked: int = Field(description="Responses that wait as letters and would belong to it")
    numbers: Mapping[int, int] = Field(description="Last event of responses applied, per partition of the topic")


class DefinitionView(View):
    id: str
    title: str
    instrument: str
    question: str
    question_version: int
    series: int
    group: str
    group_code: str
    dimension: Dimension
    rule: Rule
    counts: list[str] = Field(description="Answers that count")
    left_out: list[str] = Field(description="Answers that are no part of the base")
    baseline: float | None
    threshold: float | None
    targets: list[float] = Field(description="As the source prints them, for years 1, 2, 3")
    against: str | None = Field(description="The measure of everyone that regions are held against")
    frequency: str
    linked: list[str] = Field(description="Other readings of the same measure")
    flags: list[str] = Field(description="What a reader must know")
    definition_version: int

    @classmethod
    def of(cls, found: MeasureDefinition) -> Self:
        return cls.model_validate(cls.values(found))

    @classmethod
    def values(cls, found: MeasureDefinition) -> dict[str, Any]:
        """The fields, for views that hold more."""
        plain = {name: getattr(found, name) for name in DefinitionView.model_fields if hasattr(found, name)}
        return plain | {
            "group": found.group.label,
            "group_code": found.group.code,
            "dimension": found.group.dimension,
            "counts": sorted(found.counts),
            "left_out": sorted(found.left_out),
            "targets": list(found.targets),
            "linked": list(found.linked),
            "flags": list(found.flags),
            "definition_version": found.version,
        }


class MeasureView(DefinitionView):
    settings_version: int = Field(description="Version of the settings in force")
    synthetic: bool
    figure: FigureView | None = Field(description="Null for a regional measure, and before anybody answered")
    regions: list[FigureView]
    freshness: FreshnessView | None

    @classmethod
    def of(cls, found: Standing) -> Self:  # type: ignore[override]
        return cls.model_validate(
            DefinitionView.values(found.measure.definition)
            | {
                "settings_version": found.settings_version,
                "synthetic": found.synthetic,
                "figure": FigureView.of(found.figure) if found.figure else None,
                "regions": [FigureView.of(each) for each in found.regions],
                "freshness": found.freshness,
            },
        )


class OverviewView(View):
    synthetic: bool = Field(description="Whether these are figures of synthetic data: never mixed")
    settings_version: int
    items: list[MeasureView]

    @classmethod
    def of(cls, found: Overview) -> Self:
        return cls(
            synthetic=found.synthetic,
            settings_version=found.settings_version,
            items=[MeasureView.of(each) for each in found.standings],
        )


class DefinitionsView(View):
    settings_version: int
    changed: list[str] = Field(description="Measures that are new, or have a new version of their definition")
    items: list[DefinitionView]

    @classmethod
    def of(cls, found: Loaded) -> Self:
        return cls(
            settings_version=found.settings_version,
            changed=list(found.changed),
            items=[DefinitionView.of(each.definition) for each in found.measures],
        )


class SettingsVersionView(View):
    number: int
    values: dict[str, Any] = Field(description="All settings by name; decimals as strings")
    changed: list[str] = Field(description="Names that differ from the version before")
    by: str = Field(description="Subject of the token")
    at: datetime


class SettingsView(View):
    settings_version: int
    values: dict[str, Any]
    versions: list[SettingsVersionView] = Field(description="Oldest first")

    @classmethod
    def of(cls, found: SettingsHistory) -> Self:
        last = found.versions[-1]
        return cls(
            settings_version=last.number,
            values=last.values,
            versions=[SettingsVersionView.model_validate(each) for each in found.versions],
        )


class PopulationsView(View):
    synthetic: bool
    counts: dict[str, int] = Field(
        description="By survey segment and by landscape category; all: whoever has a segment"
    )

    @classmethod
    def of(cls, found: Populations) -> Self:
        return cls(synthetic=found.id == Populations.id_of(synthetic=True), counts=found.counts)


class CauseView(View):
    letter: str | None = Field(description="Dead or parked letter: rapport dlq show; null for what is still to come")
    reason: str
    events: int = Field(description="How many of these events wait for it, itself included")


class LackingView(View):
    measure: str | None = Field(description="Null where nobody could read what the events are about")
    wave_id: str | None
    what: str = Field(description="responses, or news of a wave, an instrument, a person who could be asked")
    events: int
    because: list[CauseView] = Field(description="The first letters to look at, and what is still to come")
    words: str = Field(description="The same in a sentence")

    @classmethod
    def of(cls, found: Lacking) -> Self:
        return cls(
            measure=found.measure,
            wave_id=found.wave_id,
            what=found.what,
            events=found.events,
            because=[CauseView(letter=each[0], reason=each[1].rstrip(":"), events=each[2]) for each in found.because],
            words=found.words,
        )


class CellsView(View):
    n: int
    w: int = Field(description="Σw, in units of 1/10,000")
    ww: int = Field(description="Σw²")
    wy: int = Field(description="Σwy")
    wwy: int = Field(description="Σw²y")


class DepartureView(View):
    name: str
    held: int
    recounted: int


class RecountView(View):
    held: CellsView
    recounted: CellsView
    departures: list[DepartureView] = Field(description="Integers that differ; empty where both agree")

    @classmethod
    def of(cls, found: Recount) -> Self:
        return cls.model_validate(
            {
                "held": CellsView.model_validate(found.held),
                "recounted": CellsView.model_validate(found.recounted),
                "departures": [DepartureView.model_validate(each) for each in found.departures],
            },
        )


class QuestionView(View):
    code: str
    version: int
    answers: list[str]
    counts: list[str]
    left_out: list[str]
    breaks_series: bool


class ExplanationView(View):
    figure: FigureView
    definition: DefinitionView
    settings: SettingsVersionView
    question: QuestionView | None = Field(description="As published in the version the wave asked")
    withheld: bool = Field(description="The figure is suppressed: neither integers nor events are shown")
    agrees: bool = Field(description="Counting again gives the same integers, and the same share to the last bit")
    recounts: dict[str, RecountView] = Field(
        description="figure: what the verdict was made from; read model: what is held now; everyone: for a region"
    )
    events: list[str] = Field(description="Ids of the response events in the base, in the order they were counted")
    next: int | None = Field(description="`after` of the next page of events")

    @classmethod
    def of(cls, found: Explanation) -> Self:
        return cls(
            figure=FigureView.of(found.figure),
            definition=DefinitionView.of(found.definition),
            settings=SettingsVersionView.model_validate(found.settings),
            question=QuestionView.model_validate(found.question) if found.question else None,
            withheld=found.withheld,
            agrees=found.agrees,
            recounts={name: RecountView.of(each) for name, each in found.recounts.items()},
            events=list(found.events),
            next=found.next,
        )


def _range(low: float | None, high: float | None) -> RangeView | None:
    return None if low is None or high is None else RangeView(low=low, high=high)
