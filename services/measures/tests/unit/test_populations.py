"""Finite populations: the registry's counts, frozen when a wave closes."""

import pytest
from measures.usecases.read_measure import ReadMeasure, read_measure
from measures.usecases.read_populations import read_populations
from rapport_events.registry import StakeholderAmended, StakeholderErased


@pytest.fixture
def knows(share):
    def responses(yes, n, wave="w", group="police"):
        return share(wave, yes, n, question="ss.known", codes=("a-lot", "dont-know"), groups=(group,))

    return responses


@pytest.fixture(scope="session")
def erased():
    def event(id_):
        return StakeholderErased(stakeholder_id=id_, erased_on="2020-01-20")

    return event


async def population(story, measure="SS-1a"):
    return (await story.ask(read_measure, ReadMeasure(measure=measure))).figure.judgement.population


async def counts(story):
    return {each.id: each.counts for each in await story.ask(read_populations, None)}


async def test_stakeholders_are_counted_by_segment_and_category(story, stakeholder):
    await story.tell(
        stakeholder("a"),
        stakeholder("b", "non-police", category="non-statutory"),
        stakeholder("c", None),
        stakeholder("d", synthetic=False),
    )
    assert await counts(story) == {
        "synthetic": {"all": 2, "police": 1, "statutory": 1, "non-police": 1, "non-statutory": 1},
        "real": {"all": 1, "police": 1, "statutory": 1},
    }


async def test_an_amendment_moves_a_stakeholder(story, stakeholder):
    await story.tell(stakeholder("a"), stakeholder("a", "non-police", kind=StakeholderAmended))
    assert (await counts(story))["synthetic"] == {"all": 1, "police": 0, "statutory": 1, "non-police": 1}


async def test_a_figure_knows_the_population_of_its_segment(story, stakeholder, opened, knows):
    await story.tell(*(stakeholder(f"s{n}") for n in range(50)), stakeholder("other", "non-police"))
    await story.tell(opened("w", instrument="stakeholder-survey"), *knows(20, 40))
    assert await population(story) == 50
    await story.tell(stakeholder("late"))
    assert await population(story) == 51


async def test_an_erased_stakeholder_changes_the_population_only(story, stakeholder, opened, knows, erased):
    await story.tell(*(stakeholder(f"s{n}") for n in range(50)))
    await story.tell(opened("w", instrument="stakeholder-survey"), *knows(20, 40))
    before = (await story.ask(read_measure, ReadMeasure(measure="SS-1a"))).figure
    await story.tell(erased("s3"), erased("nobody"))
    after = (await story.ask(read_measure, ReadMeasure(measure="SS-1a"))).figure
    assert after.judgement.population == 49
    assert "s3" not in story.documents("stakeholders")
    assert (after.cells, after.judgement.share, after.judgement.base) == (
        before.cells,
        before.judgement.share,
        before.judgement.base,
    )


async def test_a_closed_wave_keeps_the_population_it_closed_with(story, stakeholder, opened, closed, knows, erased):
    await story.tell(*(stakeholder(f"s{n}") for n in range(50)))
    await story.tell(opened("w", instrument="stakeholder-survey"), *knows(20, 40))
    await story.tell(closed("w", instrument="stakeholder-survey"))
    before = dict(story.documents("figures"))
    await story.tell(erased("s3"))
    assert await population(story) == 50
    assert story.documents("figures") == before


async def test_a_wave_may_name_its_own_population(story, stakeholder, opened, knows):
    await story.tell(*(stakeholder(f"s{n}") for n in range(50)))
    named = opened("w", instrument="stakeholder-survey", populations={"police": 400})
    await story.tell(named, *knows(20, 40), *knows(20, 40, group="non-police"))
    assert await population(story) == 400
    assert await population(story, "SS-1c") is None


async def test_the_public_has_no_finite_population(story, stakeholder, opened, share):
    await story.tell(*(stakeholder(f"s{n}") for n in range(50)))
    await story.tell(opened("wave-0"), *share("wave-0", 20, 40))
    assert await population(story, "PPT-1a") is None
