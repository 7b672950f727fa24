"""Definitions and settings: versions, and nothing silent."""

import pytest
from measures.domain.settings import InvalidSettings
from measures.domain.settings_history import SettingsNotFound
from measures.usecases.change_settings import ChangeSettings, change_settings
from measures.usecases.explain_figure import ExplainFigure, explain_figure
from measures.usecases.list_measures import ListMeasures, list_measures
from measures.usecases.read_measure import ReadMeasure, read_measure
from rapport_chassis.errors import PreconditionFailed
from rapport_events.measures import MeasureDefined


def defined(story):
    return [event for event in story.memory.events if isinstance(event, MeasureDefined)]


async def change(story, **changes):
    return await story.memory.run(change_settings, ChangeSettings(changes=changes), actor="analyst")


async def test_loading_again_changes_nothing(story):
    assert len(defined(story)) == 32
    before = {name: dict(found) for name, found in story.memory.documents.collections.items()}
    loaded = await story.load()
    assert loaded.changed == ()
    assert len(loaded.measures) == 32
    assert before == story.memory.documents.collections
    assert len(defined(story)) == 32


async def test_a_changed_setting_gives_a_new_verdict_with_both_versions_visible(story, opened, closed, share):
    """67 of 100 with a margin of 2 points cannot tell; with one of 20 it is met."""
    confident = share("wave-1", 335, 500, question="ppt.complain", codes=("very-likely", "not-at-all-likely"))
    await story.tell(opened("wave-1", 1), *confident, closed("wave-1", 1))
    assert story.told("PPT-3a")[-1].verdict == "cannot_tell"
    history = await change(story, maintained_margin="0.20")
    assert [(each.number, each.changed, each.by) for each in history.versions] == [
        (1, (), "analyst"),
        (2, ("maintained_margin",), "analyst"),
    ]
    figure = (await story.ask(read_measure, ReadMeasure(measure="PPT-3a"))).figure
    assert (figure.judgement.verdict, figure.judgement.settings_version) == ("met", 2)
    assert [(each.verdict, each.settings_version) for each in figure.superseded] == [("cannot_tell", 1)]
    last = story.told("PPT-3a")[-1]
    assert (last.verdict, last.previous, last.settings_version) == ("met", "cannot_tell", 2)
    await change(story, maintained_margin="0.02")
    figure = (await story.ask(read_measure, ReadMeasure(measure="PPT-3a"))).figure
    assert [each.settings_version for each in (*figure.superseded, figure.judgement)] == [1, 2, 3]


async def test_only_definitions_that_say_something_else_get_a_new_version(story):
    await change(story, easy_counts=["very-easy"])
    again = [event for event in defined(story) if event.definition_version == 2]
    assert sorted(event.measure_id for event in again) == ["SS-3a", "SS-3b", "SS-3c"]
    assert all(event.settings_version == 2 for event in again)


async def test_figures_name_the_definition_they_were_judged_by(story, opened, share):
    eases = share("w", 90, 100, question="ss.ease", codes=("fairly-easy", "dont-know"), groups=("police",))
    await story.tell(opened("w", instrument="stakeholder-survey"), *eases)
    await change(story, easy_counts=["very-easy"])
    figure = (await story.ask(read_measure, ReadMeasure(measure="SS-3a"))).figure
    assert (figure.judgement.definition_version, figure.judgement.share) == (2, 0.0)
    assert [(each.definition_version, each.share) for each in figure.superseded] == [(1, 0.9)]
    found = await story.ask(explain_figure, ExplainFigure(measure="SS-3a"))
    assert found.definition.counts == {"very-easy"}
    assert found.agrees


async def test_a_change_that_changes_nothing_makes_no_version(story):
    history = await change(story, maintained_margin="0.02")
    assert len(history.versions) == 1


async def test_nonsense_is_refused_and_nothing_happens(story):
    with pytest.raises(InvalidSettings):
        await change(story, maintained_margin="much")
    assert story.documents("settings")["settings"]["version"] == 1


async def test_a_stale_reader_changes_nothing(story):
    await change(story, maintained_margin="0.03")
    with pytest.raises(PreconditionFailed):
        await story.memory.run(
            change_settings, ChangeSettings(changes={"trend_waves": 4}), actor="analyst", expected={"settings": 1}
        )


async def test_before_loading_there_is_nothing_to_read(untold):
    with pytest.raises(SettingsNotFound):
        await untold.ask(list_measures, ListMeasures())
    with pytest.raises(SettingsNotFound):
        await change(untold, trend_waves=4)
