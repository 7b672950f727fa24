import pytest
from measures.domain.interval import Sample
from measures.domain.trend import Point, slope


def points(*waves):
    return [Point(ordinal, Sample.of_share(share, size)) for ordinal, share, size in waves]


def test_checked_numbers():
    up = slope(points((0, 0.33, 150), (1, 0.36, 160), (2, 0.45, 170)), 0.05)
    assert [f"{each:.6f}" for each in (up.value, up.low, up.high)] == ["0.060094", "0.015498", "0.104690"]

    level = slope(points((0, 0.73, 90), (1, 0.74, 95), (2, 0.70, 88), (3, 0.73, 91)), 0.05)
    assert f"{level.value:.6f}" == "-0.003882"
    assert level.low < 0 < level.high

    down = slope(points((0, 0.27, 200), (1, 0.22, 210), (2, 0.15, 190)), 0.05)
    assert f"{down.value:.6f}" == "-0.060595"
    assert down.high < 0


def test_a_wave_that_is_still_open_says_less():
    closed = points((0, 0.33, 150), (1, 0.36, 160), (2, 0.45, 170))
    last = closed[-1]
    found, firm = slope([*closed[:-1], Point(last.ordinal, last.sample, is_open=True)], 0.05), slope(closed, 0.05)
    assert found.value == firm.value
    assert found.low < firm.low < firm.high < found.high


def test_a_census_has_a_finite_weight(plain):
    point = Point.of(0, plain(40, 50), 50, is_open=False)
    assert point.sample.size == 50 * 50
    assert point.weight > Point.of(0, plain(40, 50), 60, is_open=False).weight


def test_shares_of_nobody_and_everybody_have_a_finite_weight():
    found = slope(points((0, 0.0, 40), (1, 0.5, 40), (2, 1.0, 40)), 0.05)
    assert found.low > 0


def test_one_moment_has_no_trend():
    with pytest.raises(ValueError, match="two waves"):
        slope(points((1, 0.3, 40), (1, 0.4, 40)), 0.05)
