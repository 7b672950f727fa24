"""What the synthetic waves tell: wave 0 has the shares of the baselines, later ones make every verdict occur.

The ease of engaging is not asked in wave 1 of the stakeholder survey, so that its trend is too early to see. It is a story, made to show each verdict; it says nothing about any body or anybody.
"""

from rapport_cli.synthetic.plan import NOBODY, Asked, WavePlan
from rapport_cli.synthetic.stakeholders import REGIONS

SEED = 20_192_022
STAKEHOLDERS, TRACKER, COMPLAINTS = "stakeholder-survey", "public-perceptions-tracker", "complaints"
POLICE, ACCOUNTABILITY, NON_POLICE = "police", "police-accountability", "non-police"
BAME, YOUNG, DISABILITY, GRADE_DE = "bame", "young-18-24", "disability", "grade-de"
BROKEN_QUESTION = "ss.known"
"""Its wording changes with version 2 of the stakeholder survey, and with it the series."""

_PUBLIC = {BAME: 600, YOUNG: 600, DISABILITY: 600, GRADE_DE: 600, NOBODY: 2_100}
_STAKEHOLDERS = {POLICE: 100, ACCOUNTABILITY: 100, NON_POLICE: 200}
"""All 100 police stakeholders answer (a census), and parts of the other two segments."""


def _groups(bame: str, young: str, disability: str, grade_de: str) -> dict[str, str]:
    return {BAME: bame, YOUNG: young, DISABILITY: disability, GRADE_DE: grade_de}


def _segments(police: str, accountability: str, non_police: str) -> dict[str, str]:
    return {POLICE: police, ACCOUNTABILITY: accountability, NON_POLICE: non_police}


def _tracker(year: int, **questions: Asked) -> WavePlan:
    named = {f"ppt.{code.replace('_', '-')}": asked for code, asked in questions.items()}
    return WavePlan(instrument=TRACKER, ordinal=year, year=year, people=_PUBLIC, regions=REGIONS, questions=named)


def _fair(share: str, base: int | None = None) -> Asked:
    """Asked of the young only; in wave 0 a pilot too small to be a baseline."""
    return Asked(
        groups={YOUNG: share},
        bases={} if base is None else {YOUNG: base},
        not_put_to=frozenset(_PUBLIC) - {YOUNG},
    )


STORY = (
    WavePlan(
        instrument=STAKEHOLDERS,
        ordinal=0,
        year=0,
        people=_STAKEHOLDERS,
        questions={
            "ss.known": Asked(groups=_segments("67", "88", "69")),
            "ss.opinion": Asked(groups=_segments("37", "54", "51")),
            "ss.ease": Asked(groups=_segments("33", "73", "27")),
            "ss.improving-confidence": Asked(groups=_segments("40", "52", "44")),
        },
    ),
    _tracker(
        0,
        heard=Asked(everyone="37", groups=_groups("32", "22", "40", "33")),
        impartial=Asked(everyone="60", groups=_groups("53", "61", "57", "54")),
        impartial_regional=Asked(everyone="60", groups=_groups("53", "61", "57", "54")),
        complain=Asked(everyone="67", groups=_groups("67", "67", "70", "65")),
        fair=_fair("45", base=20),
    ),
    WavePlan(
        instrument=COMPLAINTS,
        ordinal=0,
        year=0,
        people={NOBODY: 1_000},
        questions={
            "complaints.ethnicity": Asked(everyone="10", bases={NOBODY: 900}),
            "complaints.age": Asked(everyone="6"),
        },
    ),
    WavePlan(
        instrument=STAKEHOLDERS,
        ordinal=1,
        year=1,
        people=_STAKEHOLDERS,
        questions={
            "ss.known": Asked(groups=_segments("69", "88", "70")),
            "ss.opinion": Asked(groups=_segments("39", "54", "46")),
            "ss.improving-confidence": Asked(groups=_segments("42", "54", "47")),
        },
    ),
    _tracker(
        1,
        heard=Asked(everyone="39", groups=_groups("37", "22", "43", "37")),
        impartial=Asked(everyone="63", groups=_groups("53", "62", "59", "58")),
        impartial_regional=Asked(everyone="61", groups=_groups("54", "62", "58", "55"), regions={"wales": -3}),
        complain=Asked(everyone="67.6", groups=_groups("67", "65", "71", "66")),
        fair=_fair("47"),
    ),
    _tracker(
        2,
        heard=Asked(everyone="41", groups=_groups("42", "21", "46", "41"), regions={"north-east": -3}),
        impartial=Asked(everyone="66", groups=_groups("52", "64", "61", "62")),
        impartial_regional=Asked(everyone="62", groups=_groups("55", "63", "59", "56"), regions={"wales": -7}),
        complain=Asked(everyone="70", groups=_groups("67", "62", "71.5", "66")),
        fair=_fair("49"),
    ),
    WavePlan(
        instrument=STAKEHOLDERS,
        version=2,
        ordinal=2,
        year=2,
        people=_STAKEHOLDERS,
        questions={
            "ss.known": Asked(groups=_segments("74", "90", "72")),
            "ss.opinion": Asked(groups=_segments("41", "50", "40"), bases={ACCOUNTABILITY: 26}),
            "ss.ease": Asked(groups=_segments("57", "75", "16")),
            "ss.improving-confidence": Asked(groups=_segments("45", "56", "50")),
        },
    ),
    _tracker(
        3,
        heard=Asked(everyone="43", groups=_groups("46", "21", "48", "45"), regions={"north-east": -6}),
        impartial=Asked(everyone="69", groups=_groups("52", "67", "62", "66")),
        impartial_regional=Asked(
            everyone="63", groups=_groups("56", "64", "60", "57"), regions={"wales": -12, "london": 4}
        ),
        complain=Asked(everyone="72", groups=_groups("67", "60", "72", "52"), bases={GRADE_DE: 25}),
        fair=_fair("52"),
    ),
    WavePlan(
        instrument=COMPLAINTS,
        ordinal=1,
        year=3,
        people={NOBODY: 1_600},
        questions={
            "complaints.ethnicity": Asked(everyone="16", bases={NOBODY: 1_500}),
            "complaints.age": Asked(everyone="4"),
        },
        stays_open=True,
    ),
)
"""In the order in which the waves are in the field."""

ON_TARGET = "PPT-1a"
"""The measure whose last share is exactly its target: 43 % of 4,500."""

EVERYBODY = {STAKEHOLDERS: "COR-1", TRACKER: ON_TARGET, COMPLAINTS: "COR-2b"}
"""Per instrument a measure with every respondent in its base: its explanation names the event of each of them."""

RESPONSES = sum(plan.size for plan in STORY)
