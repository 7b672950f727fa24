"""Every worked case, through the entry point that the service uses."""

import csv
from decimal import Decimal
from pathlib import Path

import pytest
from measures.domain.cells import WEIGHT_UNIT, Cells
from measures.domain.definition import Dimension, Group, MeasureDefinition, Rule
from measures.domain.evidence import Evidence, Wave
from measures.domain.interval import Sample, normal, wilson
from measures.domain.judgement import judge
from measures.domain.sample_size import TOO_CLOSE
from measures.domain.settings import Settings

CASES = list(csv.DictReader((Path(__file__).parent / "verdict_vectors.csv").read_text("utf-8").splitlines()))
SETTINGS = Settings()


def cells_of(case):
    """Integers with exactly the case's share and effective base."""
    n, share = int(case["base"]), float(case["share"])
    yes = round(share * n)
    if not case["effective_base"]:
        return Cells(n, n * WEIGHT_UNIT, n * WEIGHT_UNIT**2, yes * WEIGHT_UNIT, yes * WEIGHT_UNIT**2)
    doubled = int(2 * Decimal(case["effective_base"]))  # Σw = 2b·u and Σw² = 4b·u² make (Σw)²/Σw² the base b
    unit = n * WEIGHT_UNIT // doubled // 5 * 5
    w, ww = doubled * unit, 2 * doubled * unit**2
    return Cells(n, w, ww, yes * w // n, yes * ww // n)


def definition_of(case):
    threshold = Decimal(case["threshold"])
    rule = Rule(case["rule"])
    shift = {Rule.ANNUAL_INCREASE: -SETTINGS.annual_increase, Rule.MAINTAIN: SETTINGS.maintained_margin}
    return MeasureDefinition(
        id=case["case"],
        title="worked case",
        instrument="example",
        question="example.question",
        question_version=1,
        series=1,
        group=Group(Dimension.EVERYONE, "all", "all"),
        rule=rule,
        counts=frozenset({"yes"}),
        left_out=frozenset(),
        unknown=frozenset(),
        baseline=threshold + shift[rule] if rule in shift else None,
        threshold=threshold if rule is Rule.ABOVE else None,
        frequency="annual",
    )


def six(value):
    return None if value is None else f"{value:.6f}"


def test_there_are_as_many_cases_as_the_source_has():
    assert len(CASES) == 37 - 1


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_worked_case(case):
    cells, population = cells_of(case), int(case["population"]) if case["population"] else None
    wave = Wave(1, cells, is_open=case["wave_open"] == "yes", population=population)

    found = judge(definition_of(case), SETTINGS, Evidence(wave, year=1))

    assert found.verdict == case["verdict"]
    assert found.provisional is (case["wave_open"] == "yes")
    shown = wilson(Sample.of(cells, population), normal(0.975))
    assert (six(cells.share), six(shown.low), six(shown.high)) == (
        case["share"],
        case["wilson95_low"],
        case["wilson95_high"],
    )
    assert (six(found.bound_low) or "", six(found.bound_high) or "") == (case["bound_low"], case["bound_high"])
    if case["verdict"] == "suppressed":
        assert (found.share, found.wilson_low, found.wilson_high) == (None, None, None)
        return
    assert (found.share, found.wilson_low, found.wilson_high) == (cells.share, shown.low, shown.high)
    assert found.effective_base == float(case["effective_base"] or case["base"])
    assert found.threshold == float(case["threshold"])
    if case["verdict"] == "cannot_tell":
        assert found.needs_n == (int(case["needs_n"]) if case["needs_n"] else TOO_CLOSE)
    else:
        assert found.needs_n is None
