from measures.domain.difference import difference
from measures.domain.interval import Sample, limits


def apart(first, second, *, is_open=False):
    return difference(first, limits(first, 0.05, is_open=is_open), second, limits(second, 0.05, is_open=False))


def test_checked_numbers():
    baseline = Sample.of_share(0.22, 300)
    assert f"{apart(Sample.of_share(0.30, 200), baseline).low:.6f}" == "0.014603"
    close = apart(Sample.of_share(0.25, 200), baseline)
    assert close.low < 0 < close.high


def test_the_other_way_round_is_the_mirror_image():
    first, second = Sample.of_share(0.30, 200), Sample.of_share(0.22, 300)
    there, back = apart(first, second), apart(second, first)
    assert (back.value, back.low, back.high) == (-there.value, -there.high, -there.low)


def test_an_open_wave_says_less():
    first, second = Sample.of_share(0.30, 200), Sample.of_share(0.22, 300)
    closed, still_open = apart(first, second), apart(first, second, is_open=True)
    assert still_open.low < closed.low < closed.high < still_open.high
