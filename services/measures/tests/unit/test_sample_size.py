import math

import pytest
from measures.domain.cells import Cells
from measures.domain.sample_size import TOO_CLOSE, needs_n
from measures.domain.settings import Settings

SETTINGS = Settings()


def test_answers_that_weigh_unequally_count_for_less(plain):
    even = plain(240, 600)
    uneven = Cells(600, even.w, 2 * even.ww, even.wy, 2 * even.wwy)
    assert uneven.effective_base == 300.0
    assert needs_n(even, None, 0.38, SETTINGS) == math.ceil(needs_n(uneven, None, 0.38, SETTINGS) / 2)


def test_nobody_is_asked_to_find_more_people_than_there_are(plain):
    for others in (1, 10, 1000, 10**6):
        assert needs_n(plain(40, 100), 100 + others, 0.38, SETTINGS) <= 100 + others


def test_under_half_a_point_no_number_is_named(plain):
    assert needs_n(plain(394, 1000), None, 0.39, SETTINGS) == TOO_CLOSE
    assert needs_n(plain(385, 1000), None, 0.38, SETTINGS) > 1000


@pytest.mark.parametrize(("yes", "threshold"), [(0, 1.0), (100, 0.0), (0, 0.05), (100, 0.95)])
def test_extremes_have_a_number(plain, yes, threshold):
    assert needs_n(plain(yes, 100), None, threshold, SETTINGS) >= 1
