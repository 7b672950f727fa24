from measures.domain.cells import Cells
from measures.domain.explanation import Counted, Departure, recount

ANSWERS = [
    Counted("event-1", "yes", 10_000),
    Counted("event-2", "no", 12_345),
    Counted("event-3", "refused", 10_000),
    Counted("event-4", "dont-know", 7_000),
]
CELLS = Cells(3, 29_345, 10_000**2 + 12_345**2 + 7_000**2, 10_000, 10_000**2)


def test_the_answers_give_the_same_integers():
    found = recount(CELLS, ANSWERS, {"yes"}, {"refused"})
    assert found.agrees
    assert found.recounted == CELLS
    assert found.events == ("event-1", "event-2", "event-4")


def test_a_difference_is_named():
    found = recount(CELLS, ANSWERS[1:], {"yes"}, {"refused"})
    assert not found.agrees
    assert Departure("n", 3, 2) in found.departures
    assert Departure("wy", 10_000, 0) in found.departures
