"""Instruments: a question's version stands for its words, for good."""

import pytest
from feedback.domain.instrument import (
    InstrumentNotFound,
    QuestionOutdated,
    SyntheticMixed,
    VersionSkipped,
    VersionTaken,
    WordingChanged,
)
from feedback.usecases.list_instruments import ListInstruments, list_instruments
from feedback.usecases.read_instrument import ReadInstrument, read_instrument
from pydantic import ValidationError


async def test_it_is_published_with_codes_and_without_words(memory, publish):
    instrument = await publish()
    (event,) = memory.events
    assert event.instrument_id == instrument.id
    assert (event.instrument_code, event.instrument_version) == ("tracker", 1)
    assert event.questions[0].answers == ("yes", "no", "refused")
    assert event.questions[0].left_out == ("refused",)
    assert "Have you heard" not in event.model_dump_json()


async def test_all_versions_are_one_instrument(memory, publish):
    first = await publish()
    second = await publish(version=2)
    assert second.id == first.id
    assert [event.instrument_version for event in memory.events] == [1, 2]
    found = await read_instrument(ReadInstrument(code="tracker"), memory.unit())
    assert [edition.number for edition in found.editions] == [1, 2]
    assert [i.code for i in await list_instruments(ListInstruments(limit=10), memory.unit())] == ["tracker"]


@pytest.mark.parametrize(
    "changed",
    [
        {"text": "Have you ever heard of Example Organisation?"},
        {"counts": ["yes", "no"]},
        {"left_out": []},
        {"breaks_series": True},
        {
            "answers": [
                {"code": "yes", "label": "Yes"},
                {"code": "no", "label": "Never"},
                {"code": "refused", "label": "-"},
            ]
        },
    ],
)
async def test_a_question_never_changes_under_its_version(publish, heard, changed):
    await publish()
    with pytest.raises(WordingChanged, match="heard"):
        await publish(version=2, questions=[heard(**changed)])
    instrument = await publish(version=2, questions=[heard(version=2, **changed)])
    assert instrument.edition(2).question("heard").version == 2


async def test_a_question_may_go_back_to_words_it_had(publish, heard):
    await publish()
    await publish(version=2, questions=[heard(version=3, text="Other words?")])
    await publish(version=3, questions=[heard()])
    with pytest.raises(QuestionOutdated):
        await publish(version=4, questions=[heard(version=2, text="Words between?")])


async def test_versions_follow_each_other(publish):
    with pytest.raises(VersionSkipped):
        await publish(version=2)
    await publish()
    with pytest.raises(VersionTaken):
        await publish()
    with pytest.raises(VersionSkipped):
        await publish(version=3)


async def test_synthetic_stays_synthetic(publish):
    await publish(synthetic=True)
    with pytest.raises(SyntheticMixed):
        await publish(version=2, synthetic=False)


async def test_what_is_not_there(memory, publish):
    with pytest.raises(InstrumentNotFound):
        await read_instrument(ReadInstrument(code="tracker"), memory.unit())
    with pytest.raises(InstrumentNotFound):
        (await publish()).edition(2)


@pytest.mark.parametrize(
    "changed",
    [
        {"counts": ["maybe"]},
        {"counts": []},
        {"counts": ["yes", "yes"]},
        {"left_out": ["yes"]},
        {"left_out": ["maybe"]},
        {"version": 0},
        {"text": " "},
        {"code": "Heard of"},
        {"answers": [{"code": "yes", "label": "Yes"}]},
        {"answers": [{"code": "yes", "label": "Yes"}, {"code": "yes", "label": "No"}]},
        {"remark": "unknown field"},
    ],
)
async def test_a_question_that_makes_no_sense(publish, heard, changed):
    with pytest.raises(ValidationError):
        await publish(questions=[heard(**changed)])


@pytest.mark.parametrize(
    "changed", [{"groups": ["bame", "bame"]}, {"regions": ["x", "x"]}, {"questions": []}, {"version": 1.0}]
)
async def test_an_instrument_that_makes_no_sense(publish, changed):
    with pytest.raises(ValidationError):
        await publish(**changed)


async def test_a_question_stands_once(publish, heard):
    with pytest.raises(ValidationError, match="twice"):
        await publish(questions=[heard(), heard()])
