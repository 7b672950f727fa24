import io

import pytest
from rapport_cli.board import Board, table, target, verdict
from rapport_cli.demo.ledger import WaveLedger
from rapport_cli.demo.reconciliation import VOCABULARY, untold
from rapport_cli.synthetic.story import STORY
from rich.console import Console


def figure(measure="PPT-1a", **facts):
    plain = {
        "measure": measure,
        "subject_key": "all",
        "ordinal": 1,
        "base": 1000,
        "share": 0.43,
        "interval": {"low": 0.4, "high": 0.46},
        "threshold": 0.43,
        "statistic": "share",
        "verdict": "cannot_tell",
        "words": "cannot tell",
        "severity": None,
        "qualifier": None,
        "needs_n": None,
        "provisional": False,
    }
    return {**plain, **facts}


def definition(measure="PPT-1a"):
    return {"id": measure, "group": "everybody", "baseline": 0.37}


@pytest.fixture
def board():
    filled = Board()
    items = [
        {**definition(), "figure": figure(), "regions": []},
        {
            **definition("REG-1"),
            "figure": None,
            "regions": [
                figure("REG-1", subject_key="wales", share=0.2),
                figure("REG-1", subject_key="london", share=0.5),
            ],
        },
        {**definition("COR-1"), "figure": None, "regions": []},
    ]
    filled.fill({"synthetic": True, "items": items})
    return filled


def drawn(board, *, short=False):
    page = io.StringIO()
    Console(file=page, width=165).print(table(board, short=short))
    return page.getvalue()


def test_an_earlier_wave_does_not_replace_a_later_one(board):
    board.take(figure(ordinal=0, share=0.1))
    assert board.figures["PPT-1a", "all"]["share"] == 0.43

    board.take(figure(ordinal=1, share=0.5))
    assert board.figures["PPT-1a", "all"]["share"] == 0.5


def test_the_table_shows_every_figure_and_says_that_they_are_synthetic(board):
    text = drawn(board)

    assert "synthetic data" in text
    assert "43.0 %" in text
    assert "40.0 to 46.0" in text
    assert "wales" in text
    assert "london" in text
    assert "no answers" in text


def test_a_short_table_has_the_lowest_region_only(board):
    text = drawn(board, short=True)

    assert "wales" in text
    assert "london" not in text


def test_a_suppressed_figure_is_not_shown(board):
    board.take(figure(verdict="suppressed", words="suppressed", share=None, interval=None, threshold=None))

    assert "not shown" in drawn(board)


def test_a_verdict_says_what_qualifies_it():
    assert verdict(figure(provisional=True, needs_n=3896)).plain == "cannot tell (needs 3,896) provisional"
    assert verdict(figure(needs_n="too close to call")).plain == "cannot tell (too close to call)"
    assert verdict(figure(verdict="not_met", words="not met", severity="red")).plain == "not met red"
    assert verdict(figure(verdict="met", words="met", qualifier="improved")).plain == "met (improved)"


def test_a_target_is_in_the_unit_of_what_it_is_about():
    assert target(figure()) == "43.0 %"
    assert target(figure(statistic="difference", threshold=-0.02)) == "≥ -2 points"
    assert target(figure(statistic="slope", threshold=0.0)) == "slope > 0"
    assert not target(figure(threshold=None))


def test_a_response_that_two_events_tell_of_is_a_difference():
    wave = WaveLedger(STORY[0], "a-wave")
    wave.acknowledge("response", "event")
    wave.acknowledge("response", "event")
    assert not wave.refused

    wave.acknowledge("response", "another event")
    assert wave.refused
    assert wave.accepted == 1


def test_a_table_that_lacks_a_verdict_is_a_difference():
    figures = [figure(verdict=word) for word in VOCABULARY]

    assert untold(figures) == ["no figure ended as amber", "no figure ended as red"]
    assert not untold([*figures, figure(severity="amber"), figure(severity="red")])
