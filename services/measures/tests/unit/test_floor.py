import pytest
from measures.domain.cells import Cells
from measures.domain.evidence import RegionalEvidence, Wave
from measures.domain.floor import judge_regions
from measures.domain.settings import Settings
from measures.domain.verdict import Severity, Verdict

SETTINGS = Settings()


def test_checked_numbers(measure, plain):
    # 300 answers with .30 against 2,700 with .3778 (1,020 of 2,700)
    evidence = RegionalEvidence(Wave(1, plain(90 + 1020, 3000)), {"north": plain(90, 300)})
    found = judge_regions(measure("floor"), SETTINGS, evidence)["north"]
    assert (found.verdict, found.severity, found.region) == (Verdict.NOT_MET, Severity.AMBER, "north")
    assert round(found.estimate, 5) == -0.07
    assert abs(found.bound_low - -0.109940) < 2e-5
    assert abs(found.bound_high - -0.027140) < 2e-5


def test_checked_numbers_to_the_last_place(measure):
    # the same with the share of the rest exactly .3778: weights of 1/10,000 allow it
    unit = 10_000
    region = Cells(300, 300 * unit, 300 * unit**2, 90 * unit, 90 * unit**2)
    rest = Cells(2700, 2700 * unit, 2700 * unit**2, 3778 * 2700, 3778 * 2700 * unit)
    found = judge_regions(measure("floor"), SETTINGS, RegionalEvidence(Wave(1, region + rest), {"north": region}))
    judged = found["north"]
    assert [f"{each:.6f}" for each in (judged.estimate, judged.bound_low, judged.bound_high)] == [
        "-0.070020",
        "-0.109940",
        "-0.027140",
    ]


def test_far_below_is_red_and_level_is_met(measure, plain):
    regions = {"north": plain(300, 2000), "south": plain(760, 2000), "east": plain(34, 100)}
    everyone = sum(regions.values(), plain(3000, 8000))
    found = judge_regions(measure("floor"), SETTINGS, RegionalEvidence(Wave(1, everyone), regions))
    assert (found["north"].verdict, found["north"].severity) == (Verdict.NOT_MET, Severity.RED)
    assert found["south"].verdict is Verdict.MET
    assert (found["east"].verdict, found["east"].severity) == (Verdict.CANNOT_TELL, None)
    assert list(found) == ["north", "south", "east"]


def test_many_regions_need_more_support_each(measure, plain):
    """Amber alone is not amber among ten: Holm's correction; switched off, it is again."""
    low, level = plain(90, 300), plain(113, 300)
    regions = {"low": low} | {f"level {number}": level for number in range(9)}
    everyone = Wave(1, sum(regions.values(), Cells()))
    alone = judge_regions(measure("floor"), SETTINGS, RegionalEvidence(everyone, {"low": low}))["low"]
    among = judge_regions(measure("floor"), SETTINGS, RegionalEvidence(everyone, regions))["low"]
    plainly = SETTINGS.changed(floor_holm=False)
    uncorrected = judge_regions(measure("floor"), plainly, RegionalEvidence(everyone, regions))["low"]
    assert alone.verdict is uncorrected.verdict is Verdict.NOT_MET
    assert among.verdict is Verdict.CANNOT_TELL
    assert among.bound_low < alone.bound_low < alone.bound_high < among.bound_high


def test_claims_that_hold_make_room_for_the_next(measure, plain):
    """Step-down: a region that needs 5 % / 2 is judged at it once the clear ones have left."""
    low = plain(87, 300)
    clear = {f"clear {number}": plain(200, 1500) for number in range(8)}
    rest = plain(9000, 20_000)
    everyone = Wave(1, sum([low, *clear.values()], rest))
    found = judge_regions(measure("floor"), SETTINGS, RegionalEvidence(everyone, {"low": low} | clear))
    assert all(found[name].severity is Severity.RED for name in clear)
    single = judge_regions(measure("floor"), SETTINGS, RegionalEvidence(everyone, {"low": low}))["low"]
    assert found["low"].bound_high == single.bound_high


def test_an_open_wave_is_provisional_and_claims_less(measure, plain):
    cells, region = plain(1110, 3000), {"north": plain(90, 300)}
    closed, still_open = (
        judge_regions(measure("floor"), SETTINGS, RegionalEvidence(Wave(1, cells, is_open=is_open), region))["north"]
        for is_open in (False, True)
    )
    assert (closed.verdict, still_open.verdict) == (Verdict.NOT_MET, Verdict.CANNOT_TELL)
    assert still_open.provisional


def test_a_small_region_or_a_small_rest_is_suppressed_and_makes_no_claim(measure, plain):
    regions = {"small": plain(2, 20), "nearly all": plain(400, 1000)}
    found = judge_regions(measure("floor"), SETTINGS, RegionalEvidence(Wave(1, plain(402, 1020)), regions))
    assert {each.verdict for each in found.values()} == {Verdict.SUPPRESSED}
    assert {each.share for each in found.values()} == {None}


def test_only_floors_are_judged_by_region(measure, plain):
    with pytest.raises(ValueError, match="no regional floor"):
        judge_regions(measure("p2", baseline="0.5"), SETTINGS, RegionalEvidence(Wave(1, plain(1, 100)), {}))
