"""Why a figure is what it is: events, integers, and counting again."""

import pytest
from measures.domain.explanation import Departure
from measures.domain.measure import FigureNotFound
from measures.usecases.explain_figure import ExplainFigure, explain_figure
from rapport_events.feedback import InstrumentPublished, Question


@pytest.fixture
async def told(story, opened, share):
    await story.tell(
        InstrumentPublished(
            instrument_id="instrument",
            instrument_code="public-perceptions-tracker",
            instrument_version=1,
            questions=(
                Question(code="ppt.heard", version=3, answers=("yes", "no", "refused"), counts=("yes",), left_out=()),
            ),
            weighted=True,
            synthetic=True,
        ),
    )
    await story.tell(opened("wave-1", 1, question_versions={"ppt.heard": 3}))
    await story.tell(*share("wave-1", 61, 97, weight=12_347, groups=("bame",), region="wales"))
    await story.tell(
        *share("wave-1", 0, 5, codes=("yes", "refused")), *share("wave-1", 300, 700, weight=9_001, region="london")
    )
    return story


async def test_counting_again_gives_the_same_to_the_last_bit(told):
    found = await told.ask(explain_figure, ExplainFigure(measure="PPT-1a"))
    assert found.agrees
    assert not found.withheld
    assert set(found.recounts) == {"figure", "read model"}
    assert found.recounts["figure"].recounted == found.figure.cells
    assert found.figure.judgement.share.hex() == found.recounts["figure"].recounted.share.hex()
    assert found.recounts["figure"].held.n == 797
    assert (found.definition.version, found.settings.number) == (1, 1)
    assert (found.question.code, found.question.version, found.figure.question_version) == ("ppt.heard", 3, 3)


async def test_groups_and_regions_are_explained_by_their_own_events(told):
    group = await told.ask(explain_figure, ExplainFigure(measure="PPT-1b"))
    assert group.agrees
    assert len(group.events) == 97
    region = await told.ask(explain_figure, ExplainFigure(measure="REG-1", region="wales"))
    assert region.agrees
    assert region.events == group.events
    assert region.recounts["everyone"].recounted.n == 797


async def test_events_come_in_pages(told):
    pages, after = [], 0
    while after is not None:
        found = await told.ask(explain_figure, ExplainFigure(measure="PPT-1a", after=after, limit=300))
        pages.append(found.events)
        after = found.next
    assert [len(page) for page in pages] == [300, 300, 197]
    assert len({event for page in pages for event in page}) == 797


async def test_answers_of_others_do_not_disturb_an_older_figure(told, share):
    """The figure of a group is not written again when only others answer; its evidence grows nonetheless."""
    await told.tell(*share("wave-1", 50, 100))
    found = await told.ask(explain_figure, ExplainFigure(measure="PPT-1b"))
    assert found.agrees
    assert found.figure.through == 97


async def test_a_read_model_that_was_tampered_with_is_named(told):
    told.documents("answers")["wave-1/synthetic/ppt.heard"]["cells"]["all"]["yes"][0] += 1
    found = await told.ask(explain_figure, ExplainFigure(measure="PPT-1a"))
    assert not found.agrees
    assert found.recounts["read model"].departures == (Departure("n", 798, 797),)


async def test_evidence_that_was_tampered_with_is_named(told):
    told.documents("evidence")["wave-1/synthetic/000000000000"]["rows"][0][2] = 1
    found = await told.ask(explain_figure, ExplainFigure(measure="PPT-1b"))
    assert not found.agrees
    assert {each.name for each in found.recounts["figure"].departures} == {"w", "ww", "wy", "wwy"}


async def test_a_share_that_was_tampered_with_shows(told):
    figure = told.documents("figures")["PPT-1a/wave-1/all"]
    figure["judgement"]["share"] += 2**-52
    assert not (await told.ask(explain_figure, ExplainFigure(measure="PPT-1a"))).agrees


async def test_a_suppressed_figure_withholds_its_integers_and_events(story, opened, share):
    await story.tell(opened("wave-1", 1), *share("wave-1", 10, 20))
    found = await story.ask(explain_figure, ExplainFigure(measure="PPT-1a"))
    assert found.withheld
    assert found.agrees
    assert (found.recounts, found.events, found.next) == ({}, (), None)


async def test_what_does_not_exist_is_not_explained(told):
    for question in (
        ExplainFigure(measure="PPT-1a", wave="wave-9"),
        ExplainFigure(measure="REG-1"),
        ExplainFigure(measure="nothing"),
        ExplainFigure(measure="PPT-1a", synthetic=False),
    ):
        with pytest.raises(FigureNotFound):
            await told.ask(explain_figure, question)
