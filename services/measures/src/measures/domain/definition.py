"""What is measured: the 29 cells of Annex B and its three regional rows."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from importlib import resources

from measures.domain.instrument import Instrument, Question, load_instruments, questions_by_measure
from measures.domain.settings import Settings

_POINT = Decimal("0.01")


class Rule(StrEnum):
    """How a figure is judged; the words of annex_b.csv."""

    ANNUAL_INCREASE = "p2"
    MAINTAIN = "mori"
    ABOVE = "gt"
    IMPROVE = "improve"
    UPWARDS = "up"
    FLOOR = "floor"
    MONITOR = "monitor"


class Dimension(StrEnum):
    """By what a group is picked. The survey's segments are one dimension, the landscape's categories another (AMB8)."""

    EVERYONE = "everyone"
    CONFIDENCE_GROUP = "confidence group"
    SURVEY_SEGMENT = "survey segment"
    LANDSCAPE_CATEGORY = "landscape category"
    REGION = "region"


@dataclass(frozen=True, slots=True)
class Group:
    """Who is asked. `code` is the wire code (bame, young-18-24, police …), `label` what a reader sees."""

    dimension: Dimension
    code: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureDefinition:
    """One measure. Shares are decimals: 0.37.

    `question_version` and `series` name the wording that the baseline belongs to (AMB9); `against` is the measure of
    everyone that a floor refers to: everyone is taken from the same wave and the same question as the regions;
    `targets` are the shares the source prints for years 1, 2, 3; `baseline_base` is None where the source gives none;
    `flags` are things a reader must know ("baseline unknown", AMB10); `linked` are other readings of it (AMB11).
    """

    id: str
    title: str
    instrument: str
    question: str
    question_version: int
    series: int
    group: Group
    rule: Rule
    counts: frozenset[str]
    left_out: frozenset[str]
    unknown: frozenset[str]
    baseline: Decimal | None = None
    baseline_base: int | None = None
    threshold: Decimal | None = None
    targets: tuple[Decimal, ...] = ()
    against: str | None = None
    frequency: str
    linked: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    version: int = 1


def load_definitions(
    settings: Settings, annex: str | None = None, instruments: tuple[Instrument, ...] | None = None
) -> tuple[MeasureDefinition, ...]:
    """Every row of data/annex_b.csv (or another text in its form) as the settings read it, in the annex's order.

    Raises ValueError naming the row where it cannot be read.
    """
    if annex is None:
        annex = (resources.files("measures") / "data" / "annex_b.csv").read_text("utf-8")
    questions = questions_by_measure(instruments if instruments is not None else load_instruments())
    return tuple(_definition(row, questions, settings) for row in csv.DictReader(io.StringIO(annex)))


def _definition(
    row: dict[str, str], questions: Mapping[str, tuple[Instrument, Question]], settings: Settings
) -> MeasureDefinition:
    try:
        return _read(row, questions, settings)
    except (KeyError, IndexError, ArithmeticError, ValueError) as error:
        raise ValueError(f"row {row.get('id')!r} of Annex B cannot be read: {error!r}") from error


def _read(
    row: dict[str, str], questions: Mapping[str, tuple[Instrument, Question]], settings: Settings
) -> MeasureDefinition:
    measure, rule = row["id"], Rule(row["rule"].split()[0])
    against = row["rule"].removeprefix("floor vs ") if rule is Rule.FLOOR else None
    instrument, question = questions[measure if settings.wording_breaks_series or against is None else against]
    baseline = _baseline(row["baseline"], settings.known_baselines.get(measure))
    goals = row["threshold_or_y1|y2|y3"].split("|")
    return MeasureDefinition(
        id=measure,
        title=row["measure"],
        instrument=instrument.code,
        question=question.code,
        question_version=question.version,
        series=question.series,
        group=_group(row, settings),
        rule=rule,
        counts=_counts(question, row["source"], settings),
        left_out=question.left_out,
        unknown=question.unknown,
        baseline=baseline,
        baseline_base=settings.baseline_bases.get(measure),
        threshold=Decimal(goals[0]) * _POINT if rule is Rule.ABOVE else None,
        targets=tuple(Decimal(goal) * _POINT for goal in goals) if rule is Rule.ANNUAL_INCREASE else (),
        against=against,
        frequency=_frequency(measure, row["frequency"], settings),
        linked=_linked(measure, settings),
        flags=_flags(rule, row, baseline),
    )


def _linked(measure: str, settings: Settings) -> tuple[str, ...]:
    pairs = (pair for pair in settings.linked_measures.items() if measure in pair)
    return tuple(other for pair in pairs for other in pair if other != measure)


def _baseline(text: str, known: Decimal | None) -> Decimal | None:
    if known is not None:
        return known
    return None if not text or text.startswith("unknown") else Decimal(text) * _POINT


def _group(row: Mapping[str, str], settings: Settings) -> Group:
    """A complaint is the unit and its group the answer, so its share is one of everyone's complaints."""
    label, band = row["group"], settings.young_age_band
    if row["source"] == "complaints":
        return Group(Dimension.EVERYONE, "all", "all complaints")
    minority = Group(Dimension.CONFIDENCE_GROUP, settings.ethnic_minority_group, settings.ethnic_minority_label)
    young = Group(Dimension.CONFIDENCE_GROUP, f"young-{band}", f"young people aged {band}")
    named = {
        "all respondents": Group(Dimension.EVERYONE, "all", label),
        "stakeholders": Group(Dimension.EVERYONE, "all", label),
        "each region": Group(Dimension.REGION, "each", label),
        "BME": minority,
        "BAME": minority,
        "young people": young,
        "young 18-24": young,
        "disability or condition": Group(Dimension.CONFIDENCE_GROUP, "disability", label),
        "socio-economic grade DE": Group(Dimension.CONFIDENCE_GROUP, "grade-de", label),
    }
    if row["source"] == "SS" and label not in named:
        return Group(Dimension(settings.stakeholder_group_dimension), label.replace(" ", "-"), label)
    return named[label]


def _counts(question: Question, source: str, settings: Settings) -> frozenset[str]:
    if question.code == "ss.ease":
        return frozenset(settings.easy_counts)
    if question.code == "complaints.age":
        return frozenset({settings.young_age_band_complaints})
    if source == "complaints":
        return frozenset({settings.ethnic_minority_group})
    return question.counts


def _frequency(measure: str, text: str, settings: Settings) -> str:
    if text == "bi annual":
        return settings.bi_annual_exceptions.get(measure, settings.bi_annual)
    return text


def _flags(rule: Rule, row: Mapping[str, str], baseline: Decimal | None) -> tuple[str, ...]:
    flags = []
    if rule is Rule.FLOOR and baseline is None:
        flags.append("baseline unknown")
    if "inferred" in row["frequency"]:
        flags.append("frequency inferred")
    return tuple(flags)
