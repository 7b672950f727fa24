"""Short ways to say what a test judges."""

from decimal import Decimal

import pytest
from hypothesis import settings
from measures.domain.cells import WEIGHT_UNIT, Cells
from measures.domain.definition import Dimension, Group, MeasureDefinition, Rule

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")  # a busy machine is no counterexample


@pytest.fixture(scope="session")
def plain():
    """Cells of n unweighted answers."""

    def cells(yes, n):
        return Cells(n, n * WEIGHT_UNIT, n * WEIGHT_UNIT**2, yes * WEIGHT_UNIT, yes * WEIGHT_UNIT**2)

    return cells


@pytest.fixture(scope="session")
def measure():
    """A definition of which only the rule and its numbers matter."""

    def definition(rule, *, baseline=None, threshold=None, baseline_base=None):
        return MeasureDefinition(
            id="EX-1",
            title="example",
            instrument="example",
            question="example.question",
            question_version=1,
            series=1,
            group=Group(Dimension.EVERYONE, "all", "all"),
            rule=Rule(rule),
            counts=frozenset({"yes"}),
            left_out=frozenset({"refused"}),
            unknown=frozenset(),
            baseline=None if baseline is None else Decimal(baseline),
            baseline_base=baseline_base,
            threshold=None if threshold is None else Decimal(threshold),
            frequency="annual",
        )

    return definition
