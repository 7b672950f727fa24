"""Units that go on with what the one before had in memory say what they would have said without it, or meet a conflict."""

import random

import pytest
from measures.contract import AFTER_BATCH, CONSUMES
from measures.usecases.change_settings import ChangeSettings, change_settings
from measures.usecases.explain_figure import ExplainFigure, explain_figure
from rapport_chassis.errors import Conflict
from rapport_events.envelope import Envelope

SURVEY = "stakeholder-survey"


class Worker:
    """Applies batches as one of several consumers does: going on with its last unit, anew after a conflict."""

    def __init__(self, story):
        self.story = story
        self.last = None
        self.conflicts = 0

    async def tell(self, *events):
        try:
            await self._apply(events, self.last)
        except Conflict:
            self.conflicts += 1
            await self._apply(events, None)

    async def _apply(self, events, before):
        self.last = None
        memory = self.story.memory
        await memory.keyring.open()
        unit = memory.unit(actor="measures")
        if before is not None:
            unit.follow(before)
        for event in events:
            self.story.count += 1
            unit.consumed = Envelope.of(
                event,
                id=f"event-{self.story.count}",
                source="urn:rapport:test",
                time=memory.now,
                correlationid="test",
            )
            await CONSUMES[type(event)](event, unit)
        unit.consumed = None
        await AFTER_BATCH(unit)
        await memory.commit(unit)
        self.last = unit


@pytest.fixture
def worker(story):
    return Worker(story)


@pytest.fixture
def other(story):
    return Worker(story)


def figures(story):
    return {
        id_: (document["judgement"], document["cells"], document["everyone"])
        for id_, document in story.documents("figures").items()
    }


async def change(story, **changes):
    return await story.memory.run(change_settings, ChangeSettings(changes=changes), actor="analyst")


@pytest.fixture
def programme(opened, closed, response, stakeholder):
    """Batches of three waves and of the people whom one of them could ask."""

    def answers(chance, *waves):
        return [
            response(chance.choice(waves), answer(chance), groups=("bame",), region=chance.choice(["wales", None]))
            for _ in range(9)
        ]

    def known(chance):
        return [
            response("survey", {"ss.known": chance.choice(["a-lot", "dont-know"])}, groups=("police",))
            for _ in range(9)
        ]

    return lambda chance: [
        [opened("wave-1", 1)],
        *(answers(chance, "wave-1") for _ in range(12)),
        [stakeholder(f"person-{n}") for n in range(40)],
        [opened("survey", 1, instrument=SURVEY)],
        *(known(chance) for _ in range(4)),
        [stakeholder(f"later-{n}") for n in range(3)],
        [opened("wave-2", 2)],
        *(answers(chance, "wave-1", "wave-2") for _ in range(12)),
        known(chance),
        [closed("survey", 1, instrument=SURVEY)],
        [closed("wave-1", 1)],
        *(answers(chance, "wave-2") for _ in range(6)),
    ]


@pytest.mark.parametrize("seed", range(8))
async def test_whoever_applies_what_the_figures_are_the_same(seed, story, untold, worker, other, programme):
    """Two workers and an analyst in any turn, beside one that reads everything anew for every batch."""
    chance = random.Random(seed)
    batches = programme(chance)
    await untold.load()
    for batch in batches:
        if chance.random() < 0.1:
            margin = f"0.0{chance.randint(1, 9)}"
            await change(story, maintained_margin=margin)
            await change(untold, maintained_margin=margin)
        await chance.choice([worker, other]).tell(*batch)
        await untold.tell(*batch)
    assert figures(story) == figures(untold)
    assert [e.model_dump() for e in story.told()] == [e.model_dump() for e in untold.told()]
    explained = await story.ask(explain_figure, ExplainFigure(measure="PPT-1a", wave="wave-2"))
    assert explained.agrees


async def test_alone_it_meets_no_conflict(story, worker, opened, closed, share):
    await worker.tell(opened("wave-1", 1))
    for event in share("wave-1", 20, 40):
        await worker.tell(event)
    await worker.tell(closed("wave-1", 1))
    assert worker.conflicts == 0
    assert story.documents("figures")["PPT-1a/wave-1/all"]["judgement"]["base"] == 40


@pytest.mark.parametrize("act", ["settings", "closing", "opening", "counting"])
async def test_what_another_changed_is_noticed(act, story, worker, other, opened, closed, share):
    """Before the first response that the worker counts afterwards takes effect."""
    await worker.tell(opened("wave-1", 1))
    await worker.tell(*share("wave-1", 20, 40))
    match act:
        case "settings":
            await change(story, maintained_margin="0.09")
        case "closing":
            await other.tell(closed("wave-1", 1))
        case "opening":
            await other.tell(opened("wave-2", 2))
        case "counting":
            await other.tell(*share("wave-1", 5, 10))
    await worker.tell(*share("wave-1", 1, 1))
    assert worker.conflicts == 1
    judged = story.documents("figures")["PPT-1a/wave-1/all"]["judgement"]
    assert judged["settings_version"] == (2 if act == "settings" else 1)
    assert judged["provisional"] == (act != "closing")
    assert judged["base"] == (51 if act == "counting" else 41)


def answer(chance):
    return {
        "ppt.heard": chance.choice(["yes", "no", "refused"]),
        "ppt.complain": chance.choice(["very-likely", "not-at-all-likely"]),
        "ppt.impartial": chance.choice(["very-confident", "not-at-all-confident"]),
    }
