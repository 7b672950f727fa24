from collections import Counter
from decimal import Decimal

import pytest
from measures.domain.definition import Dimension, Rule, load_definitions
from measures.domain.instrument import load_instruments
from measures.domain.settings import Settings

DEFINITIONS = {each.id: each for each in load_definitions(Settings())}
QUESTIONS = {question.code: question for each in load_instruments() for question in each.questions}


def test_annex_b_has_29_cells_and_three_regional_rows():
    assert len(DEFINITIONS) == 32
    assert Counter(each.rule for each in DEFINITIONS.values()) == {
        Rule.ANNUAL_INCREASE: 10,
        Rule.MAINTAIN: 11,
        Rule.ABOVE: 2,
        Rule.IMPROVE: 2,
        Rule.UPWARDS: 3,
        Rule.FLOOR: 3,
        Rule.MONITOR: 1,
    }


def test_printed_targets_are_the_baseline_and_two_points_a_year():
    printed = [each for each in DEFINITIONS.values() if each.targets]
    assert len(printed) == 10
    for each in printed:
        assert each.targets == tuple(each.baseline + Decimal("0.02") * year for year in (1, 2, 3))


def test_baselines_and_thresholds_are_exact():
    assert DEFINITIONS["SS-1b"].baseline == Decimal("0.88")
    assert DEFINITIONS["COR-2a"].threshold == Decimal("0.11")
    assert DEFINITIONS["COR-2a"].baseline is None


def test_every_counting_answer_exists_and_is_in_the_base():
    for each in DEFINITIONS.values():
        codes = {answer.code for answer in QUESTIONS[each.question].answers}
        assert each.counts
        assert each.counts <= codes - each.left_out
        assert each.unknown <= each.left_out <= codes


def test_both_names_of_a_group_are_one_code_and_segments_are_their_own_dimension():
    assert DEFINITIONS["COR-4"].group == DEFINITIONS["PPT-1b"].group
    assert DEFINITIONS["PPT-1b"].group.code == "bame"
    assert DEFINITIONS["COR-3"].group.code == DEFINITIONS["PPT-1c"].group.code == "young-18-24"
    assert DEFINITIONS["SS-1b"].group.dimension is Dimension.SURVEY_SEGMENT
    assert DEFINITIONS["SS-1b"].group.code == "police-accountability"


def test_both_readings_of_awareness_are_kept_and_linked():
    assert DEFINITIONS["COR-4"].linked == ("PPT-1b",)
    assert DEFINITIONS["PPT-1b"].linked == ("COR-4",)
    assert DEFINITIONS["COR-4"].question == DEFINITIONS["PPT-1b"].question


def test_regional_rows_say_that_their_baseline_is_unknown_until_it_is_known():
    assert "baseline unknown" in DEFINITIONS["REG-1"].flags
    known = {each.id: each for each in load_definitions(Settings(known_baselines={"REG-1": Decimal("0.35")}))}
    assert known["REG-1"].baseline == Decimal("0.35")
    assert "baseline unknown" not in known["REG-1"].flags


def test_the_regional_wording_of_impartiality_is_another_question():
    assert DEFINITIONS["REG-2"].question == "ppt.impartial-regional"
    assert DEFINITIONS["REG-2"].question != DEFINITIONS["PPT-2a"].question
    assert DEFINITIONS["REG-1"].question == DEFINITIONS["PPT-1a"].question
    same = {each.id: each for each in load_definitions(Settings(wording_breaks_series=False))}
    assert same["REG-2"].question == "ppt.impartial"


def test_choices_change_what_is_read():
    settings = Settings().changed(
        bi_annual_exceptions={"COR-3": "every two years"},
        young_age_band="16-24",
        young_age_band_complaints="under-18",
        easy_counts=["very-easy"],
    )
    changed = {each.id: each for each in load_definitions(settings)}
    assert (changed["COR-3"].frequency, changed["COR-4"].frequency) == ("every two years", "twice a year")
    assert changed["PPT-1c"].group.code == "young-16-24"
    assert changed["COR-2b"].counts == {"under-18"}
    assert changed["SS-3a"].counts == {"very-easy"}


def test_a_row_that_cannot_be_read_is_named():
    header = "id,source,measure,group,baseline,counts_when,rule,threshold_or_y1|y2|y3,frequency\n"
    for row in (
        "PPT-1a,PPT,heard,all respondents,many,yes,p2,39,annual",
        "PPT-1a,PPT,heard,all respondents,37,yes,luck,39,annual",
        "PPT-1a,PPT,heard,passers-by,37,yes,p2,39,annual",
    ):
        with pytest.raises(ValueError, match="'PPT-1a'"):
            load_definitions(Settings(), header + row)
