"""Responses into tallies: in any order, in any batches, real and synthetic apart."""

import random

import pytest
from measures.domain.answers import CHUNK, Answers, Counting, Intake, Row
from measures.domain.cells import Tally

REGIONS = (None, "wales", "london")


@pytest.fixture
def crowd(response):
    chance = random.Random(7)
    return [
        response(
            "wave-0",
            {
                "ppt.heard": chance.choice(["yes", "no", "refused"]),
                "ppt.complain": chance.choice(["very-likely", "no"]),
            },
            groups=tuple(chance.sample(["bame", "disability", "grade-de"], chance.randrange(3))),
            region=chance.choice(REGIONS),
            weight=chance.randint(1, 200_000),
        )
        for _ in range(200)
    ]


def figures(story):
    return {
        id_: (document["judgement"], document["cells"], document["everyone"])
        for id_, document in story.documents("figures").items()
    }


def tallies(story):
    return {
        id_: {key: value for key, value in document.items() if key not in ("version", "through")}
        for id_, document in story.documents("answers").items()
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_any_order_and_any_batches_give_the_same(seed, story, untold, crowd, opened):
    await story.tell(opened("wave-0"))
    await story.tell(*crowd)
    chance = random.Random(seed)
    shuffled = chance.sample(crowd, len(crowd))
    waves = [opened("wave-0")]
    await untold.load()
    while shuffled:
        size = chance.randint(1, 60)
        batch, shuffled = shuffled[:size], shuffled[size:]
        if waves and chance.random() < 0.4:
            batch = [*batch, waves.pop()]  # the news of the wave comes late
        await untold.tell(*batch)
    await untold.tell(*waves)
    assert tallies(untold) == tallies(story)
    assert figures(untold) == figures(story)


async def test_definitions_may_come_after_the_answers(story, untold, crowd, opened):
    await story.tell(opened("wave-0"), *crowd)
    await untold.tell(opened("wave-0"), *crowd)
    assert not untold.documents("figures")
    await untold.load()
    assert figures(untold) == figures(story)
    assert len(untold.told("PPT-1a")) == 1


async def test_tallies_are_exact_integers_per_cell_and_answer(story, response):
    await story.tell(
        response("wave-0", {"ppt.heard": "yes"}, groups=("bame",), region="wales", weight=12_345),
        response("wave-0", {"ppt.heard": "yes"}, groups=("bame", "bame"), weight=10_000),
        response("wave-0", {"ppt.heard": "no"}, weight=1),
    )
    assert story.documents("answers")["wave-0/synthetic/ppt.heard"]["cells"] == {
        "all": {"yes": [2, 22_345, 12_345**2 + 10_000**2], "no": [1, 1, 1]},
        "group:bame": {"yes": [2, 22_345, 12_345**2 + 10_000**2]},
        "region:wales": {"yes": [1, 12_345, 12_345**2]},
    }


async def test_evidence_is_kept_in_chunks_in_the_order_of_counting(story, response):
    crowd = [response("wave-0", {"ppt.heard": "yes"}) for _ in range(CHUNK + 5)]
    await story.tell(*crowd)
    await story.tell(response("wave-0", {"ppt.heard": "no"}, groups=("bame",), region="wales", weight=7), ids=["last"])
    chunks = sorted(story.documents("evidence").values(), key=lambda chunk: chunk["_id"])
    assert [(chunk["first"], len(chunk["rows"])) for chunk in chunks] == [(0, CHUNK), (CHUNK, 5), (CHUNK + 5, 1)]
    assert chunks[-1]["rows"] == [["last", {"ppt.heard": "no"}, 7, ["bame"], "wales"]]
    assert story.documents("intakes")["wave-0/synthetic"]["responses"] == CHUNK + 6


async def test_real_and_synthetic_never_meet(story, opened, share):
    await story.tell(opened("wave-0", synthetic=True), *share("wave-0", 20, 40))
    before = figures(story)
    await story.tell(*share("wave-0", 40, 40, synthetic=False))
    assert set(tallies(story)) == {"wave-0/synthetic/ppt.heard", "wave-0/real/ppt.heard"}
    assert figures(story) == before


async def test_what_is_not_told_yet_is_not_judged(story, share, opened):
    await story.tell(*share("wave-0", 20, 40))
    assert not story.told()
    await story.tell(opened("wave-0"))
    assert story.told("PPT-1a")[0].base == 40


def test_tallies_of_a_cell_nobody_is_in_are_empty():
    counting = Counting(Intake(id="w", wave_id="w", synthetic=False))
    answers = counting.answers["q"] = Answers(id="x", wave_id="w", synthetic=False, question="q")
    assert answers.tallies("all") == {}
    counting.count(Row("event", {"q": "yes"}, 2, (), None))
    assert answers.tallies("all") == {"yes": Tally(1, 2, 4)}
