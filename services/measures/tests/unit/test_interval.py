import math

from hypothesis import assume, given
from hypothesis import strategies as st
from measures.domain.cells import LARGEST_WEIGHT, Cells, Tally
from measures.domain.interval import Sample, exact, normal, sequence, wilson
from scipy.special import betaln

ERROR = 0.05
COUNTS = st.integers(1, 10**7).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
KINDS = (
    lambda sample: wilson(sample, normal(0.975)),
    lambda sample: exact(sample, ERROR),
    lambda sample: sequence(sample, ERROR),
)


def sample_of(yes, n):
    return Sample(yes / n, float(yes), float(n - yes), float(n))


def weighted(answers):
    tallies = {}
    for yes, weight in answers:
        tallies[yes] = tallies.get(yes, Tally()) + Tally.one(weight)
    return Cells.of(tallies, {True})


@given(COUNTS)
def test_bounds_bracket_the_share_and_stay_within_0_and_1(counts):
    sample = sample_of(*counts)
    for kind in KINDS:
        found = kind(sample)
        assert 0 <= found.low <= sample.share <= found.high <= 1


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, LARGEST_WEIGHT)), min_size=1, max_size=60), st.integers(0, 10_000)
)
def test_weighted_answers_of_a_finite_population_too(answers, others):
    cells = weighted(answers)
    sample = Sample.of(cells, cells.n + others)
    for kind in KINDS:
        found = kind(sample)
        assert 0 <= found.low <= sample.share <= found.high <= 1


@given(COUNTS, st.integers(2, 50))
def test_a_smaller_base_with_the_same_share_is_wider(counts, times):
    yes, n = counts
    for kind in KINDS:
        small, large = kind(sample_of(yes, n)), kind(sample_of(yes * times, n * times))
        assert small.low <= large.low
        assert large.high <= small.high


@given(COUNTS)
def test_an_open_wave_claims_less_than_a_closed_one(counts):
    assume(counts[1] >= 2)
    sample = sample_of(*counts)
    closed, still_open = exact(sample, ERROR), sequence(sample, ERROR)
    assert still_open.low <= closed.low
    assert closed.high <= still_open.high


@given(COUNTS)
def test_one_more_that_counts_never_lowers_a_bound(counts):
    yes, n = counts
    assume(yes < n)
    for kind in KINDS:
        fewer, more = kind(sample_of(yes, n)), kind(sample_of(yes + 1, n))
        assert fewer.low <= more.low
        assert fewer.high <= more.high


@given(COUNTS)
def test_a_surer_bound_is_farther_away(counts):
    sample = sample_of(*counts)
    for kind in (exact, sequence):
        assert kind(sample, 0.01).low <= kind(sample, 0.05).low
        assert kind(sample, 0.05).high <= kind(sample, 0.01).high


@given(COUNTS)
def test_the_sequence_ends_where_the_evidence_reaches_its_limit(counts):
    sample = sample_of(*counts)
    found = sequence(sample, ERROR)
    for edge in (found.low, found.high):
        if not 1e-9 < edge < 1 - 1e-9:  # where one bit of q is much evidence
            continue
        evidence = betaln(sample.hits + 1, sample.misses + 1)
        evidence -= sample.hits * math.log(edge) + sample.misses * math.log1p(-edge)
        assert math.isclose(evidence, math.log(10), rel_tol=1e-4, abs_tol=1e-4)


def test_bounds_are_there_for_every_extreme():
    for yes, n in [(0, 1), (1, 1), (0, 1e12), (1e12, 1e12), (5e11, 1e12), (1e-4, 3.0), (1.0, 1e9)]:
        sample = Sample(yes / n, yes, n - yes, n)
        for kind in KINDS:
            found = kind(sample)
            assert 0 <= found.low <= sample.share <= found.high <= 1
            assert found.low < found.high


def test_a_census_has_no_width_and_an_impossible_population_is_ignored(plain):
    census = Sample.of(plain(43, 50), 50)
    assert census.census
    for kind in KINDS:
        assert (kind(census).low, kind(census).high) == (0.86, 0.86)
    assert Sample.of(plain(43, 50), 49) == Sample.of(plain(43, 50))


def test_a_population_narrows_the_interval(plain):
    sample = Sample.of(plain(80, 90), 110)
    assert sample.size == 90 * 109 / 20
    assert sample.hits + sample.misses == sample.size
