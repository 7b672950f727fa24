"""The story proven without servers: the domain judges the generated rows, wave by wave."""

from collections import Counter
from fractions import Fraction

import pytest
from measures.domain.cells import Cells, Tally
from measures.domain.definition import Dimension, MeasureDefinition, Rule, load_definitions
from measures.domain.evidence import Evidence, RegionalEvidence, Wave
from measures.domain.floor import judge_regions
from measures.domain.instrument import load_instruments
from measures.domain.judgement import Judgement, judge
from measures.domain.settings import Settings
from measures.domain.verdict import Severity, Verdict
from rapport_cli.synthetic.plan import NOBODY, Asked, WavePlan
from rapport_cli.synthetic.quotas import Inexact, people, split
from rapport_cli.synthetic.responses import responses
from rapport_cli.synthetic.stakeholders import LOTS, REGIONS, rows
from rapport_cli.synthetic.story import BROKEN_QUESTION, ON_TARGET, RESPONSES, SEED, STAKEHOLDERS, STORY, TRACKER

INSTRUMENTS = {instrument.code: instrument for instrument in load_instruments()}
SETTINGS = Settings()
DEFINITIONS = {definition.id: definition for definition in load_definitions(SETTINGS)}
POPULATIONS = {"police": 100, "police-accountability": 150, "non-police": 300, "all": 550}


@pytest.fixture(scope="module")
def told():
    return [(plan, responses(plan, INSTRUMENTS[plan.instrument], SEED)) for plan in STORY]


def tallies(definition, answered, region=None):
    everyone = definition.group.dimension in {Dimension.EVERYONE, Dimension.REGION}
    counts = Counter(
        row["answers"][definition.question]
        for row in answered
        if definition.question in row["answers"]
        and (everyone or definition.group.code in row["groups"])
        and (region is None or row["region"] == region)
    )
    return {code: Tally(n, n * 10_000, n * 100_000_000) for code, n in counts.items()}


def cells(definition, answered, region=None):
    return Cells.of(tallies(definition, answered, region), definition.counts, definition.left_out)


def wave(definition: MeasureDefinition, plan: WavePlan, answered):
    return Wave(
        plan.ordinal,
        cells(definition, answered),
        plan.stays_open,
        POPULATIONS[definition.group.code] if plan.instrument == STAKEHOLDERS else None,
        plan.version if definition.question == BROKEN_QUESTION else 1,
    )


def final(definition, told) -> dict[str, Judgement]:
    mine = [(plan, answered) for plan, answered in told if plan.instrument == definition.instrument]
    plan, answered = mine[-1]
    if definition.rule is Rule.FLOOR:
        regions = {region: cells(definition, answered, region) for region in REGIONS}
        return judge_regions(definition, SETTINGS, RegionalEvidence(wave(definition, plan, answered), regions))
    waves = [wave(definition, *each) for each in mine if definition.question in each[0].questions]
    unknown = {code: tally for code, tally in tallies(definition, answered).items() if code in definition.unknown}
    return {"": judge(definition, SETTINGS, Evidence(waves[-1], plan.year, tuple(waves[:-1]), Cells.of(unknown, ())))}


def test_every_verdict_of_the_vocabulary_is_in_the_last_table(told):
    judged = [judgement for definition in DEFINITIONS.values() for judgement in final(definition, told).values()]

    assert {judgement.verdict for judgement in judged} == set(Verdict)
    assert {judgement.severity for judgement in judged} == {None, Severity.AMBER, Severity.RED}


def test_a_share_on_its_target_cannot_tell(told):
    judgement = final(DEFINITIONS[ON_TARGET], told)[""]

    assert judgement.share == judgement.threshold == 0.43
    assert judgement.verdict is Verdict.CANNOT_TELL
    assert not judgement.provisional


def test_the_first_wave_has_the_shares_of_the_baselines(told):
    baseline = {plan.instrument: answered for plan, answered in told if plan.ordinal == 0}
    known = [definition for definition in DEFINITIONS.values() if definition.baseline is not None]

    assert len(known) == 24
    for definition in known:
        found = cells(definition, baseline[definition.instrument])
        assert Fraction(found.wy, found.w) == Fraction(definition.baseline or 0), definition.id


def test_a_segment_of_the_stakeholder_survey_is_a_census(told):
    judgement = final(DEFINITIONS["SS-2a"], told)[""]

    assert judgement.census
    assert judgement.verdict is Verdict.MET


def test_one_wave_stays_open_and_is_judged_provisionally(told):
    assert final(DEFINITIONS["COR-2a"], told)[""].provisional


def test_there_are_enough_responses_and_references_are_unique(told):
    references = [row["reference"] for _, answered in told for row in answered]

    assert len(references) == RESPONSES >= 20_000
    assert len(set(references)) == RESPONSES
    assert all(reference.startswith("synthetic-") for reference in references)


def test_the_same_seed_gives_the_same_rows_and_another_one_another_order():
    plan = STORY[0]
    instrument = INSTRUMENTS[plan.instrument]

    assert responses(plan, instrument, 1) == responses(plan, instrument, 1)
    assert responses(plan, instrument, 1) != responses(plan, instrument, 2)


def test_answers_are_those_of_the_instrument(told):
    for plan, answered in told:
        codes = {q.code: {answer.code for answer in q.answers} for q in INSTRUMENTS[plan.instrument].questions}
        assert all(answer in codes[question] for row in answered for question, answer in row["answers"].items())


def test_a_share_that_people_cannot_have_is_refused():
    plan = WavePlan(
        instrument=TRACKER,
        ordinal=0,
        year=0,
        people={NOBODY: 30},
        questions={"ppt.heard": Asked(everyone="37")},
    )

    with pytest.raises(Inexact):
        responses(plan, INSTRUMENTS[TRACKER], SEED)
    with pytest.raises(Inexact):
        people("0.5", 100)


def test_a_split_gives_out_everything_and_nothing_twice():
    assert split(10, [1, 1, 1]) == [4, 3, 3]
    assert split(0, [1, 2]) == [0, 0]
    assert split(7, [0, 0]) == [0, 0]
    assert split(5, [Fraction(1, 2), Fraction(3, 2)]) == [1, 4]


def test_stakeholders_say_that_they_are_synthetic():
    everyone = list(rows())

    assert len(everyone) == sum(lot.count for lot in LOTS)
    assert all(row["synthetic"] == "true" and row["name"].startswith("Synthetic ") for row in everyone)
    assert all(row["email"].endswith("@example.org") for row in everyone)
    assert {lot.subtype: lot.count for lot in LOTS}["police"] == POPULATIONS["police"]
