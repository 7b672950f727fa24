from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from measures.domain.cells import Cells
from measures.domain.evidence import Evidence, Wave
from measures.domain.judgement import judge
from measures.domain.sample_size import TOO_CLOSE
from measures.domain.settings import Settings
from measures.domain.verdict import Qualifier, Statistic, Verdict

SETTINGS = Settings()


def verdict(definition, wave, year=1, earlier=(), settings=SETTINGS):
    return judge(definition, settings, Evidence(wave, year, tuple(earlier))).verdict


def test_the_target_grows_with_the_year_and_the_other_reading_stands_beside_it(measure, plain):
    definition, wave = measure("p2", baseline="0.37"), Wave(1, plain(430, 1000))
    for year, target in ((1, 0.39), (2, 0.41), (3, 0.43)):
        found = judge(definition, SETTINGS, Evidence(wave, year))
        assert found.threshold == target
        assert found.other_reading == pytest.approx(0.37 * 1.02**year, abs=1e-12)
    relative = judge(definition, SETTINGS.changed(annual_increase_reading="relative"), Evidence(wave, 2))
    assert (relative.threshold, relative.other_reading) == (pytest.approx(0.384948), 0.41)
    assert relative.settings_version == 2


def test_no_target_exceeds_everyone(measure, plain):
    found = judge(measure("p2", baseline="0.99"), SETTINGS, Evidence(Wave(1, plain(100, 100), population=100), 3))
    assert (found.threshold, found.verdict) == (1.0, Verdict.MET)


def test_the_baselines_own_year_has_no_target_yet(measure, plain):
    for rule in ("p2", "mori"):
        found = judge(measure(rule, baseline="0.37"), SETTINGS, Evidence(Wave(0, plain(900, 1000)), 0))
        assert found.verdict is Verdict.TOO_EARLY
        assert found.bound_low < found.share < found.bound_high


def test_met_is_qualified_where_it_should_be_maintained_or_improved(measure, plain):
    definition = measure("mori", baseline="0.67")
    assert judge(definition, SETTINGS, Evidence(Wave(1, plain(1340, 2000)), 1)).qualifier is Qualifier.MAINTAINED
    assert judge(definition, SETTINGS, Evidence(Wave(1, plain(1460, 2000)), 1)).qualifier is Qualifier.IMPROVED
    assert judge(definition, SETTINGS, Evidence(Wave(1, plain(1220, 2000)), 1)).qualifier is None


def test_exactly_on_the_target_nobody_can_tell(measure, plain):
    found = judge(measure("p2", baseline="0.37"), SETTINGS, Evidence(Wave(1, plain(7800, 20_000)), 1))
    assert (found.verdict, found.needs_n) == (Verdict.CANNOT_TELL, TOO_CLOSE)


def test_above_is_strictly_above_and_at_least_is_not(measure, plain):
    census = Wave(1, plain(11, 100), population=100)
    assert verdict(measure("gt", threshold="0.11"), census) is Verdict.NOT_MET
    assert verdict(measure("p2", baseline="0.09"), census) is Verdict.MET


def test_unknown_groups_are_shown_in_the_worst_case_either_way(measure, plain):
    evidence = Evidence(Wave(1, plain(640, 5000)), 1, unknown=plain(0, 1000))
    found = judge(measure("gt", threshold="0.11"), SETTINGS, evidence)
    assert (found.verdict, found.unknown_low, found.unknown_high) == (Verdict.MET, 640 / 6000, 1640 / 6000)
    assert "1000 of unknown group" in found.reason


def test_improvement_is_judged_against_the_earliest_wave_of_the_series(measure, plain):
    definition, baseline = measure("improve"), Wave(0, plain(66, 300))
    between = Wave(1, plain(200, 300))
    found = judge(definition, SETTINGS, Evidence(Wave(2, plain(60, 200)), 1, (between, baseline)))
    assert (found.verdict, found.statistic) == (Verdict.MET, Statistic.DIFFERENCE)
    assert f"{found.bound_low:.6f}" == "0.014603"
    assert verdict(definition, Wave(2, plain(50, 200)), earlier=[baseline]) is Verdict.CANNOT_TELL
    assert verdict(definition, Wave(2, plain(20, 200)), earlier=[baseline]) is Verdict.NOT_MET
    assert verdict(definition, Wave(2, plain(60, 200))) is Verdict.NO_BASELINE
    assert verdict(definition, Wave(2, plain(60, 200)), earlier=[Wave(0, plain(5, 20))]) is Verdict.NO_BASELINE
    assert verdict(definition, Wave(2, plain(60, 200), series=2), earlier=[baseline]) is Verdict.SERIES_BROKEN


def test_an_improvement_seen_while_answers_arrive_must_be_larger(measure, plain):
    baseline, now = Wave(0, plain(66, 300)), plain(60, 200)
    found = judge(measure("improve"), SETTINGS, Evidence(Wave(1, now, is_open=True), 1, (baseline,)))
    assert (found.verdict, found.provisional) == (Verdict.CANNOT_TELL, True)


def test_a_trend_needs_its_waves(measure, plain):
    definition = measure("up")
    first, second, third = Wave(0, plain(50, 150)), Wave(1, plain(58, 160)), Wave(2, plain(77, 170))
    assert verdict(definition, second, earlier=[first]) is Verdict.TOO_EARLY
    assert verdict(definition, third, earlier=[first, second]) is Verdict.MET
    changed = Wave(2, third.cells, series=2)
    assert verdict(definition, changed, earlier=[first, second]) is Verdict.SERIES_BROKEN
    ignoring = SETTINGS.changed(wording_breaks_series=False)
    assert verdict(definition, changed, earlier=[first, second], settings=ignoring) is Verdict.MET


def test_another_wording_is_never_compared_with_the_published_baseline(measure, plain):
    for rule in ("p2", "mori"):
        found = judge(measure(rule, baseline="0.37"), SETTINGS, Evidence(Wave(1, plain(900, 1000), series=2), 1))
        assert (found.verdict, found.bound_low) == (Verdict.SERIES_BROKEN, None)


def test_an_unknown_baseline_is_said(measure, plain):
    assert verdict(measure("p2"), Wave(1, plain(900, 1000))) is Verdict.NO_BASELINE


def test_a_monitored_share_is_shown_and_never_judged(measure, plain):
    found = judge(measure("monitor"), SETTINGS, Evidence(Wave(1, plain(90, 100)), 1))
    assert (found.verdict, found.share, found.threshold) == (Verdict.MONITORED, 0.9, None)


@pytest.mark.parametrize("rule", ["p2", "mori", "gt", "improve", "up", "monitor"])
def test_a_small_base_is_suppressed_whatever_the_rule(measure, plain, rule):
    definition = measure(rule, baseline="0.5", threshold="0.5")
    for cells in (plain(0, 0), plain(20, 29)):
        found = judge(definition, SETTINGS, Evidence(Wave(1, cells), 1))
        assert (found.verdict, found.base) == (Verdict.SUPPRESSED, cells.n)
        figures = (found.share, found.effective_base, found.wilson_low, found.estimate, found.bound_low, found.needs_n)
        assert figures == (None,) * len(figures)


def test_a_small_census_is_shown_only_where_nobody_is_singled_out(measure, plain):
    definition = measure("mori", baseline="0.52")
    assert verdict(definition, Wave(1, plain(18, 20), population=20)) is Verdict.MET
    for yes in (0, 1, 19, 20):
        assert verdict(definition, Wave(1, plain(yes, 20), population=20)) is Verdict.SUPPRESSED
    assert verdict(definition, Wave(1, Cells(), population=0)) is Verdict.SUPPRESSED


def test_a_baseline_with_a_known_base_may_be_treated_as_an_estimate(measure, plain):
    definition, wave = measure("mori", baseline="0.67", baseline_base=500), Wave(1, plain(1340, 2000))
    estimates = SETTINGS.changed(baselines_are="estimates")
    firm, unsure = (judge(definition, each, Evidence(wave, 1)) for each in (SETTINGS, estimates))
    assert (firm.verdict, unsure.verdict) == (Verdict.MET, Verdict.CANNOT_TELL)
    assert unsure.bound_low < firm.bound_low < firm.bound_high < unsure.bound_high


def test_a_floor_is_not_judged_alone(measure, plain):
    with pytest.raises(ValueError, match="region by region"):
        judge(measure("floor"), SETTINGS, Evidence(Wave(1, plain(1, 100)), 1))


@given(
    st.integers(30, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.integers(5, 95),
    st.booleans(),
    st.sampled_from(["p2", "mori", "gt"]),
    st.none() | st.integers(0, 500),
)
def test_a_verdict_follows_from_its_bounds_alone_and_the_same_each_time(
    measure, plain, counts, target, is_open, rule, others
):
    shift = {"p2": Decimal("-0.02"), "mori": Decimal("0.02"), "gt": Decimal(0)}[rule]
    definition = measure(rule, baseline=Decimal(target) / 100 + shift, threshold=Decimal(target) / 100)
    wave = Wave(1, plain(*counts), is_open=is_open, population=None if others is None else counts[1] + others)
    found = judge(definition, SETTINGS, Evidence(wave, 1))
    met = found.bound_low > found.threshold if rule == "gt" else found.bound_low >= found.threshold
    not_met = found.bound_high <= found.threshold if rule == "gt" else found.bound_high < found.threshold
    assert not (met and not_met)
    assert (found.verdict is Verdict.MET, found.verdict is Verdict.NOT_MET) == (met, not_met)
    assert (found.needs_n is not None) == (found.verdict is Verdict.CANNOT_TELL)
    assert found == judge(definition, SETTINGS, Evidence(wave, 1))


@given(st.integers(30, 3000), st.data())
def test_more_answers_that_count_never_turn_met_into_not_met(measure, plain, n, data):
    fewer = data.draw(st.integers(0, n))
    more = data.draw(st.integers(fewer, n))
    order = [Verdict.NOT_MET, Verdict.CANNOT_TELL, Verdict.MET]
    first, second = (verdict(measure("p2", baseline="0.37"), Wave(1, plain(yes, n))) for yes in (fewer, more))
    assert order.index(first) <= order.index(second)


def test_a_wave_that_did_not_ask_is_no_wave_of_a_trend_nor_a_baseline(measure, plain):
    silent = Wave(0, Cells())
    assert (
        verdict(measure("up"), Wave(2, plain(40, 100)), earlier=(silent, Wave(1, plain(30, 100)))) is Verdict.TOO_EARLY
    )
    assert verdict(measure("improve"), Wave(1, plain(40, 100)), earlier=(silent,)) is Verdict.NO_BASELINE
