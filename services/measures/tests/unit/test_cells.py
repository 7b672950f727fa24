from functools import reduce
from operator import add

import pytest
from hypothesis import given
from hypothesis import strategies as st
from measures.domain.cells import LARGEST_WEIGHT, Cells, InvalidWeight, Tally, weight_of

ANSWERS = st.lists(
    st.tuples(st.sampled_from(["yes", "no", "dont-know", "refused"]), st.integers(1, LARGEST_WEIGHT)), max_size=40
)


def tallies(answers):
    found = {}
    for code, weight in answers:
        found[code] = found.get(code, Tally()) + Tally.one(weight)
    return found


def cells(answers):
    return Cells.of(tallies(answers), {"yes"}, {"refused"})


@given(ANSWERS.flatmap(lambda answers: st.tuples(st.just(answers), st.permutations(answers))))
def test_any_order_of_folding_gives_the_same_integers(both):
    first, second = both
    assert cells(first) == cells(second)


@given(ANSWERS, ANSWERS)
def test_folding_in_parts_is_folding_at_once_and_can_be_undone(some, others):
    assert cells(some) + cells(others) == cells(some + others)
    assert cells(some + others) - cells(others) == cells(some)


@given(ANSWERS)
def test_cells_are_the_sums_they_are_named_after(answers):
    base = [(code == "yes", weight) for code, weight in answers if code != "refused"]
    assert cells(answers) == Cells(
        len(base),
        sum(weight for _, weight in base),
        sum(weight**2 for _, weight in base),
        sum(weight for yes, weight in base if yes),
        sum(weight**2 for yes, weight in base if yes),
    )


@given(ANSWERS)
def test_the_effective_base_never_exceeds_the_base(answers):
    found = cells(answers)
    assert 0 <= found.effective_base <= found.n


def test_equal_weights_lose_nothing():
    assert reduce(add, [Tally.one(31_337)] * 97, Tally()) == Tally(97, 97 * 31_337, 97 * 31_337**2)
    assert Cells(97, 97 * 31_337, 97 * 31_337**2, 0, 0).effective_base == 97.0


def test_dont_know_is_in_the_base_and_refused_is_not():
    found = Cells.of({"yes": Tally.one(), "dont-know": Tally.one(), "refused": Tally.one()}, {"yes"}, {"refused"})
    assert (found.n, found.share) == (2, 0.5)


@pytest.mark.parametrize(("text", "weight"), [("1", 10_000), ("1.2345", 12_345), ("0.0001", 1), ("20.0000", 200_000)])
def test_a_weight_is_an_integer_of_its_ten_thousandth(text, weight):
    assert weight_of(text) == weight


@pytest.mark.parametrize("text", ["0", "-1", "1.23456", "20.0001", "NaN", "Infinity", "heavy", ""])
def test_other_weights_are_refused(text):
    with pytest.raises(InvalidWeight):
        weight_of(text)
