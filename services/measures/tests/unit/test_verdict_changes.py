"""From events to verdicts, and one event for each that is another one."""

import pytest
from measures.domain.verdict import Severity, Verdict
from measures.usecases.list_measures import ListMeasures, list_measures
from measures.usecases.read_history import ReadHistory, read_history
from measures.usecases.read_measure import ReadMeasure, read_measure


async def test_a_verdict_is_told_once(story, opened, share):
    await story.tell(opened("wave-1", 1), *share("wave-1", 400, 500))
    assert [event.verdict for event in story.told("PPT-1a")] == ["met"]
    await story.tell(*share("wave-1", 40, 50))
    assert len(story.told("PPT-1a")) == 1
    standing = await story.ask(read_measure, ReadMeasure(measure="PPT-1a"))
    assert standing.figure.judgement.base == 550
    event = story.told("PPT-1a")[0]
    assert (event.base, event.share, event.provisional, event.previous, event.synthetic) == (500, 0.8, True, None, True)


async def test_a_verdict_moves_as_answers_arrive(story, opened, share):
    await story.tell(opened("wave-1", 1))
    await story.tell(*share("wave-1", 10, 20))
    assert not story.told("PPT-1a")  # too few to show, as before
    await story.tell(*share("wave-1", 10, 20))
    await story.tell(*share("wave-1", 400, 460))
    told = story.told("PPT-1a")
    assert [(event.previous, event.verdict) for event in told] == [
        ("suppressed", "cannot_tell"),
        ("cannot_tell", "met"),
    ]


async def test_closing_makes_a_verdict_final(story, opened, closed, share):
    await story.tell(opened("wave-1", 1), *share("wave-1", 225, 500))
    assert story.told("PPT-1a")[-1].verdict == "cannot_tell"
    await story.tell(closed("wave-1", 1))
    last = story.told("PPT-1a")[-1]
    assert (last.verdict, last.previous, last.provisional) == ("met", "cannot_tell", False)
    standing = await story.ask(read_measure, ReadMeasure(measure="PPT-1a"))
    assert not standing.figure.judgement.provisional


async def test_groups_are_judged_by_their_own_answers(story, opened, share):
    await story.tell(opened("wave-1", 1), *share("wave-1", 40, 400), *share("wave-1", 90, 100, groups=("bame",)))
    assert story.told("PPT-1b")[-1].verdict == "met"
    assert story.told("PPT-1a")[-1].verdict == "not_met"
    assert not story.told("PPT-1c")  # nobody of that group: suppressed from the start


async def test_the_regional_floor(story, opened, closed, share):
    await story.tell(
        opened("wave-1", 1),
        *share("wave-1", 1_500, 2_700, region="london"),
        *share("wave-1", 90, 300, region="wales"),
        *share("wave-1", 5, 9, region="midlands"),
    )
    await story.tell(closed("wave-1", 1))
    standing = await story.ask(read_measure, ReadMeasure(measure="REG-1"))
    assert standing.figure is None
    found = {figure.subject_key: figure.judgement for figure in standing.regions}
    assert (found["wales"].verdict, found["wales"].severity) == (Verdict.NOT_MET, Severity.RED)
    assert found["london"].verdict is Verdict.MET
    assert found["midlands"].verdict is Verdict.SUPPRESSED
    assert story.told("REG-1", "wales")[-1].severity == "red"
    assert not story.told("REG-1", "all")


async def test_a_later_wave_is_judged_again_when_an_earlier_one_gets_more_answers(story, opened, share):
    def of(wave, yes, n):
        return share(wave, yes, n, groups=("bame",))

    await story.tell(opened("wave-0", 0), opened("wave-1", 1), *of("wave-1", 60, 200), *of("wave-0", 40, 200))
    assert story.told("COR-4")[-1].ordinal == 1
    figures = await story.ask(read_history, ReadHistory(measure="COR-4"))
    before = figures[-1].judgement
    await story.tell(*of("wave-0", 0, 300))
    after = (await story.ask(read_history, ReadHistory(measure="COR-4")))[-1].judgement
    assert (before.verdict, after.verdict) == (Verdict.CANNOT_TELL, Verdict.MET)


async def test_a_trend_needs_three_waves_and_a_break_ends_it(story, opened, closed, share):
    def wave(ordinal, yes, **facts):
        id_ = f"wave-{ordinal}"
        eases = share(id_, yes, 200, question="ss.ease", codes=("very-easy", "dont-know"), groups=("police",))
        return (
            opened(id_, ordinal, instrument="stakeholder-survey", **facts),
            *eases,
            closed(id_, ordinal, instrument="stakeholder-survey"),
        )

    await story.tell(*wave(0, 60))
    await story.tell(*wave(1, 80))
    assert story.told("SS-3a")[-1].verdict == "too_early"
    await story.tell(*wave(2, 110))
    assert story.told("SS-3a")[-1].verdict == "met"
    await story.tell(*wave(3, 20, breaks=("ss.ease",)))
    assert story.told("SS-3a")[-1].verdict == "series_broken"
    verdicts = [f.judgement.verdict for f in await story.ask(read_history, ReadHistory(measure="SS-3a"))]
    assert verdicts == ["too_early", "too_early", "met", "series_broken"]


async def test_complaints_whose_group_is_unknown_bound_the_share(story, opened, response):
    codes = ["bame"] * 30 + ["white"] * 170 + ["unknown"] * 20
    await story.tell(
        opened("cases", 0, instrument="complaints"),
        *(response("cases", {"complaints.ethnicity": code}, instrument_code="complaints") for code in codes),
    )
    judgement = (await story.ask(read_measure, ReadMeasure(measure="COR-2a"))).figure.judgement
    assert judgement.base == 200
    assert judgement.share == 30 / 200
    assert (judgement.unknown_low, judgement.unknown_high) == (30 / 220, 50 / 220)


async def test_a_wave_that_was_never_opened_cannot_close(story, opened, closed):
    with pytest.raises(Exception, match="never opened"):
        await story.tell(opened("wave-0"), closed("wave-9"))
    assert not story.documents("waves")


async def test_all_measures_in_the_order_of_the_annex(story, opened, share):
    overview = await story.ask(list_measures, ListMeasures())
    assert len(overview.standings) == 32
    assert overview.standings[0].measure.id == "COR-1"
    assert not overview.synthetic
    await story.tell(opened("wave-0"), *share("wave-0", 20, 40))
    overview = await story.ask(list_measures, ListMeasures())
    assert overview.synthetic
    standing = next(each for each in overview.standings if each.measure.id == "PPT-1a")
    assert standing.figure.judgement.base == 40
    assert (standing.freshness.responses, standing.freshness.parked) == (40, 0)
    assert standing.freshness.as_of == story.memory.now
    real = await story.ask(list_measures, ListMeasures(synthetic=False))
    assert all(each.figure is None for each in real.standings)


async def test_a_real_wave_takes_precedence_over_synthetic_ones(story, opened, share):
    await story.tell(opened("made-up", 3), *share("made-up", 20, 40))
    await story.tell(opened("wave-0", synthetic=False))
    overview = await story.ask(list_measures, ListMeasures())
    assert not overview.synthetic
    assert all(each.figure is None for each in overview.standings)


async def test_a_measure_keeps_its_last_figure_until_the_new_wave_has_answers(story, opened, closed, share):
    await story.tell(opened("wave-0"), *share("wave-0", 20, 40), closed("wave-0"))
    await story.tell(opened("wave-1", 1))
    standing = await story.ask(read_measure, ReadMeasure(measure="PPT-1a"))
    assert standing.figure.wave_id == "wave-0"


async def test_letters_that_wait_are_counted_with_the_wave_they_belong_to(story, opened, share):
    await story.tell(opened("wave-0"), *share("wave-0", 20, 40))
    letters = story.memory.documents.collections.setdefault("dead_letters", {})
    for number, wave in enumerate(["wave-0", "wave-0", "wave-1"]):
        letters[str(number)] = {
            "_id": str(number),
            "topic": "feedback.response",
            "envelope": {"data": {"wave_id": wave}},
        }
    standing = await story.ask(read_measure, ReadMeasure(measure="PPT-1a"))
    assert standing.freshness.parked == 2
