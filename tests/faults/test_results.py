"""A run that is cut short goes on where it was, and its document says what the repetitions showed and where they ran."""

import itertools
from collections import Counter
from pathlib import Path

import pytest

from tests.faults import report
from tests.faults.catalogue import FAULTS, Repetition
from tests.faults.families import FAMILIES
from tests.faults.plan import BLOCK, Plan
from tests.faults.results import Kept, Results

assert FAMILIES
FEW = [FAULTS[id_] for id_ in ("F1", "F2", "F8", "F13")]
"""Two of one ground, two of grounds of their own."""


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "kept")


def repetition(fault: str, number: int = 1, **shown: object) -> Repetition:
    return Repetition(fault, f"seed/{fault}/{number}", 3, 40, recovery=1.2345, memory=140.0, **shown)  # type: ignore[arg-type]


def taken(plan: Plan, ground: str = "") -> list[tuple[str, int]]:
    """All that one platform after the other takes."""
    found = []
    while (task := plan.take(ground)) is not None:
        found.append((task[0].id, task[1]))
        ground = task[0].ground.name
    return found


def test_what_was_kept_is_read_again(results: Results) -> None:
    held = repetition("F1", figures={"pause": 2.0})
    failed = repetition("F1", 2, lost=1, findings={"I1": ["acknowledged and lost: 1 (somebody)"]})
    results.keep(held, "aaaaaaa")
    results.keep(failed, "bbbbbbb+")
    first, second = results.of("F1")
    assert (first.commit, second.commit, first.superseded) == ("aaaaaaa", "bbbbbbb+", False)
    assert first.repetition.figures == held.figures
    assert first.repetition.recovery == pytest.approx(held.recovery, abs=0.01)
    assert second.repetition.findings == failed.findings
    assert second.repetition.seed == failed.seed
    assert len((results.folder / "F1.jsonl").read_text().splitlines()) == 2


def test_a_run_goes_on_until_every_fault_has_its_repetitions(results: Results) -> None:
    for number in (1, 2, 3):
        results.keep(repetition("F1", number), "aaaaaaa")
    results.keep(repetition("F8"), "aaaaaaa")
    done = results.resumed([each.id for each in FEW], 3)
    counts = Counter(fault for fault, _ in taken(Plan(FEW, 3, done)))
    assert counts == {"F2": 3, "F8": 2, "F13": 3}
    assert taken(Plan(FEW[:1], 3, done)) == []


def test_after_a_complete_run_a_new_one_begins(results: Results) -> None:
    for fault in ("F1", "F2"):
        for number in (1, 2):
            results.keep(repetition(fault, number), "aaaaaaa")
    assert results.resumed(["F1", "F2"], 3) == {"F1": 2, "F2": 2}
    assert results.resumed(["F1", "F2"], 2) == {"F1": 0, "F2": 0}
    assert list(results.all()) == []


def test_a_platform_stays_on_its_ground_within_a_block_of_rounds() -> None:
    order = taken(Plan(FEW, 2 * BLOCK, {}))
    assert len(order) == len(set(order)) == 2 * BLOCK * len(FEW)
    grounds = [(FAULTS[fault].ground.name, (number - 1) // BLOCK) for fault, number in order]
    assert len([1 for one, other in itertools.pairwise(grounds) if one != other]) == 2 * 3 - 1
    assert [block for _, block in grounds] == sorted(block for _, block in grounds)


def test_platforms_side_by_side_start_on_grounds_of_their_own() -> None:
    plan = Plan(FEW, BLOCK, {})
    first = [plan.take() for _ in range(3)]
    assert len({task[0].ground.name for task in first if task is not None}) == 3


def test_no_second_platform_is_started_for_a_few_repetitions() -> None:
    plan = Plan(FEW[:1], 3, {})
    assert plan.take() is not None
    assert plan.take() is None
    assert len(taken(plan, FEW[0].ground.name)) == 2


def test_a_fault_begun_anew_keeps_what_did_not_hold(results: Results) -> None:
    results.keep(repetition("F1"), "aaaaaaa")
    results.keep(repetition("F1", 2, findings={"I7": ["a process held 425 MiB"]}), "aaaaaaa")
    results.keep(repetition("F2"), "aaaaaaa")
    results.anew(["F1"])
    assert (results.counting("F1"), results.counting("F2")) == (0, 1)
    results.keep(repetition("F1", 3), "bbbbbbb")
    text = report.render(list(results.all()))
    assert "invariants held in 2 of 2 repetitions" in text
    assert "## What did not hold\n" not in text
    assert "## What did not hold in earlier runs\n" in text
    assert "seed/F1/2" in text
    assert "a process held 425 MiB" in text


def test_the_document_tells_where_repetitions_ran_and_what_did_not_hold(results: Results) -> None:
    results.keep(repetition("F1"), "aaaaaaa")
    results.keep(repetition("F2", findings={"I8": ["back after 70 s only"]}), "bbbbbbb")
    text = report.render(list(results.all()))
    assert "`aaaaaaa` (1), `bbbbbbb` (1)" in text
    assert "## What did not hold\n" in text
    assert "I8: back after 70 s only" in text
    assert "Not run: F3, " in text


def test_a_line_is_short() -> None:
    assert len(Kept(repetition("F1", lost=0), "aaaaaaa", "2026-01-01").line()) < 200
