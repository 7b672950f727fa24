"""The checker itself: it finds each damage that is planted, under its invariant, and nothing where nothing is wrong.

A small consistent world is made in memory: two responses of one wave, and somebody who was registered and then moved.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import pytest

from tests.faults.checker import Expected, Verdict, check
from tests.faults.evidence import PERSONS, RESPONSE, Entry, Evidence
from tests.faults.ledger import Ledger, Promise
from tests.integration.acts import QUESTION

RESPONSES, STAKEHOLDERS = ("feedback.response", 0), ("registry.stakeholder", 0)
HEARD = {"measures": ["feedback.response", "registry.stakeholder"], "engagement": ["registry.stakeholder"]}


def response(number: int, code: str) -> Entry:
    data = {"wave_id": "wave", "answers": {QUESTION: code}}
    return Entry("feedback", RESPONSE, RESPONSES, f"response-{number}", number, unsent=False, data=data)


def stakeholder(type_: str, pos: int) -> Entry:
    return Entry("registry", type_, STAKEHOLDERS, "somebody", pos, unsent=False, data={})


def world() -> tuple[Ledger, Evidence]:
    """What was promised, and what is there; all of it fits."""
    ledger = Ledger()
    ledger.acknowledged("sender-1", Promise("response", "event-1", 0, "yes"))
    ledger.acknowledged("sender-2", Promise("response", "event-2", 0, "no"))
    ledger.acknowledged("sender-3", Promise("stakeholder", "somebody", 1, "london"))
    ledger.acknowledged("sender-4", Promise("stakeholder", "somebody", 2, "wales"))
    numbered = {RESPONSES: [(1, "event-1"), (2, "event-2")], STAKEHOLDERS: [(1, "event-3"), (2, "event-4")]}
    evidence = Evidence(
        journal={
            "event-1": response(1, "yes"),
            "event-2": response(2, "no"),
            "event-3": stakeholder(PERSONS[0], 10),
            "event-4": stakeholder(PERSONS[1], 11),
        },
        batches=deepcopy(numbered),
        topics=deepcopy(numbered),
        responses={"response-1": "event-1", "response-2": "event-2"},
        stakeholders={"somebody": (2, "wales")},
        copies={"engagement": {"somebody": "wales"}},
        counted=["event-1", "event-2"],
        tallies={"wave": {"yes": 1, "no": 1}},
        cursors={"measures": {RESPONSES: 2, STAKEHOLDERS: 2}, "engagement": {STAKEHOLDERS: 2}},
    )
    return ledger, evidence


def judged(ledger: Ledger, evidence: Evidence, expected: Expected = Expected()) -> Verdict:  # noqa: B008 - frozen in use
    return check(ledger, evidence, HEARD, expected)


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    verdict = judged(*world())
    assert verdict.findings == {}
    assert (verdict.acknowledged, verdict.events, verdict.unknown) == (4, 4, 0)
    assert (verdict.lost, verdict.doubled, verdict.out_of_order) == (0, 0, 0)


def test_what_may_be_is_not_found() -> None:
    """A write in doubt that happened, another that did not; records sent twice; letters and strays that were put there."""
    ledger, evidence = world()
    ledger.abandoned("sender-5", "response")
    ledger.abandoned("sender-6", "response")
    evidence.journal["event-5"] = response(5, "yes")
    evidence.responses["response-5"] = "event-5"
    evidence.batches[RESPONSES].append((3, "event-5"))
    evidence.topics[RESPONSES] += [(3, "event-5"), (2, "event-2"), (3, "event-5")]
    evidence.cursors["measures"][RESPONSES] = 3
    evidence.letters["measures"] = [(RESPONSES, 3, "dead", "event-5")]
    evidence.strays = 1
    assert judged(ledger, evidence, Expected({"measures": 1}, strays=1)).findings == {}


# What is planted: name -> (invariant, how it is counted, what is done) -----------------------------------------------

Plant = Callable[[Ledger, Evidence], None]
PLANTED: dict[str, tuple[str, str, Plant]] = {}


def planted(invariant: str, counted: str = "") -> Callable[[Plant], Plant]:
    """Declares a damage, the invariant it must be found under, and the count of the report that it must be in."""

    def declare(plant: Plant) -> Plant:
        PLANTED[plant.__name__] = invariant, counted, plant
        return plant

    return declare


@planted("I1", "lost")
def an_acknowledged_response_is_lost(_: Ledger, evidence: Evidence) -> None:
    """With every trace of it, as if its transaction had been rolled back."""
    del evidence.journal["event-2"], evidence.responses["response-2"]
    evidence.batches[RESPONSES].pop()
    evidence.topics[RESPONSES].pop()
    evidence.counted.remove("event-2")
    evidence.tallies["wave"] = {"yes": 1}
    evidence.cursors["measures"][RESPONSES] = 1


@planted("I1", "lost")
def an_acknowledged_change_is_lost(_: Ledger, evidence: Evidence) -> None:
    evidence.stakeholders["somebody"] = 1, "london"


@planted("I1", "lost")
def an_acknowledged_change_is_another_one(_: Ledger, evidence: Evidence) -> None:
    evidence.stakeholders["somebody"] = 2, "midlands"


@planted("I1", "lost")
def a_response_says_something_else(_: Ledger, evidence: Evidence) -> None:
    evidence.journal["event-2"] = response(2, "yes")


@planted("I1", "doubled")
def two_senders_are_acknowledged_as_one(ledger: Ledger, _: Evidence) -> None:
    ledger.acknowledged("sender-5", Promise("response", "event-1", 0, "yes"))


@planted("I2", "doubled")
def a_response_is_told_twice(_: Ledger, evidence: Evidence) -> None:
    evidence.journal["event-5"] = replace(response(5, "yes"), aggregate="response-1")


@planted("I2")
def an_event_is_numbered_that_no_journal_has(_: Ledger, evidence: Evidence) -> None:
    evidence.batches[RESPONSES].append((3, "ghost"))
    evidence.topics[RESPONSES].append((3, "ghost"))


@planted("I2")
def a_record_is_on_the_topic_that_no_relay_numbered(_: Ledger, evidence: Evidence) -> None:
    evidence.topics[RESPONSES].append((3, "ghost"))


@planted("I2", "lost")
def a_record_is_missing_on_the_topic(_: Ledger, evidence: Evidence) -> None:
    evidence.topics[RESPONSES].pop()


@planted("I2")
def an_event_is_unsent(_: Ledger, evidence: Evidence) -> None:
    evidence.journal["event-2"].unsent = True


@planted("I2", "lost")
def an_event_was_never_numbered(_: Ledger, evidence: Evidence) -> None:
    evidence.batches[RESPONSES].pop()


@planted("I2", "doubled")
def an_event_has_two_numbers(_: Ledger, evidence: Evidence) -> None:
    evidence.batches[RESPONSES].append((3, "event-1"))
    evidence.topics[RESPONSES].append((3, "event-1"))


@planted("I2", "doubled")
def a_number_has_two_events(_: Ledger, evidence: Evidence) -> None:
    evidence.batches[RESPONSES][1] = 1, "event-2"


@planted("I2")
def an_event_is_on_another_partition(_: Ledger, evidence: Evidence) -> None:
    evidence.journal["event-2"].place = "feedback.response", 1


@planted("I3", "out_of_order")
def two_records_are_swapped(_: Ledger, evidence: Evidence) -> None:
    evidence.topics[RESPONSES].reverse()


@planted("I3", "out_of_order")
def two_events_of_somebody_are_swapped(_: Ledger, evidence: Evidence) -> None:
    evidence.batches[STAKEHOLDERS] = evidence.topics[STAKEHOLDERS] = [(1, "event-4"), (2, "event-3")]


@planted("I3", "out_of_order")
def a_number_is_left_out(_: Ledger, evidence: Evidence) -> None:
    evidence.batches[RESPONSES][1] = evidence.topics[RESPONSES][1] = 3, "event-2"


@planted("I4", "doubled")
def a_response_is_counted_twice(_: Ledger, evidence: Evidence) -> None:
    evidence.counted.append("event-1")


@planted("I4", "lost")
def a_response_is_not_counted(_: Ledger, evidence: Evidence) -> None:
    evidence.counted.remove("event-1")


@planted("I4")
def something_is_counted_that_nobody_told(_: Ledger, evidence: Evidence) -> None:
    evidence.counted.append("ghost")


@planted("I4")
def a_figure_is_not_the_fold(_: Ledger, evidence: Evidence) -> None:
    evidence.tallies["wave"]["yes"] = 2


@planted("I4")
def a_figure_is_not_there(_: Ledger, evidence: Evidence) -> None:
    evidence.tallies.clear()


@planted("I4")
def a_copy_is_stale(_: Ledger, evidence: Evidence) -> None:
    evidence.copies["engagement"]["somebody"] = "london"


@planted("I4")
def a_copy_is_missing(_: Ledger, evidence: Evidence) -> None:
    evidence.copies["engagement"].clear()


@planted("I5")
def half_a_write_happened_the_event(ledger: Ledger, evidence: Evidence) -> None:
    ledger.abandoned("sender-5", "response")
    evidence.journal["event-5"] = response(5, "yes")


@planted("I5")
def half_a_write_happened_the_document(ledger: Ledger, evidence: Evidence) -> None:
    ledger.abandoned("sender-5", "response")
    evidence.responses["response-5"] = "event-5"


@planted("I5")
def half_a_change_happened(_: Ledger, evidence: Evidence) -> None:
    evidence.stakeholders["somebody"] = 3, "wales"


@planted("I5")
def half_a_registration_happened(_: Ledger, evidence: Evidence) -> None:
    evidence.journal["event-5"] = replace(stakeholder(PERSONS[0], 12), aggregate="nobody")


@planted("I5", "doubled")
def a_response_is_there_that_nobody_sent(_: Ledger, evidence: Evidence) -> None:
    """Whole, and consistent everywhere: as a retry that was taken for a new one."""
    evidence.journal["event-5"] = response(5, "yes")
    evidence.responses["response-5"] = "event-5"
    evidence.batches[RESPONSES].append((3, "event-5"))
    evidence.topics[RESPONSES].append((3, "event-5"))
    evidence.counted.append("event-5")
    evidence.tallies["wave"]["yes"] = 2
    evidence.cursors["measures"][RESPONSES] = 3


@planted("I6")
def a_consumer_stands_still(_: Ledger, evidence: Evidence) -> None:
    evidence.cursors["engagement"][STAKEHOLDERS] = 1


@planted("I6")
def a_consumer_never_began(_: Ledger, evidence: Evidence) -> None:
    evidence.cursors["engagement"].clear()


@planted("I6")
def a_letter_is_there_that_nobody_expected(_: Ledger, evidence: Evidence) -> None:
    evidence.letters["engagement"] = [(STAKEHOLDERS, 2, "dead", "event-4")]


@planted("I6")
def a_stray_is_there_that_nobody_put(_: Ledger, evidence: Evidence) -> None:
    evidence.strays = 1


@planted("I8")
def a_request_was_answered_as_it_should_not_be(ledger: Ledger, _: Evidence) -> None:
    ledger.broken.append("POST response was answered 500")


@planted("I8")
def one_sender_is_acknowledged_as_two(ledger: Ledger, _: Evidence) -> None:
    ledger.acknowledged("sender-1", Promise("response", "event-2", 0, "yes"))


@planted("I9")
def a_secret_lies_in_clear(_: Ledger, evidence: Evidence) -> None:
    evidence.leaks.append("feedback.responses")


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_found(name: str) -> None:
    ledger, evidence = world()
    invariant, counted, plant = PLANTED[name]
    plant(ledger, evidence)
    verdict = judged(ledger, evidence)
    assert invariant in verdict.findings
    if counted:
        assert getattr(verdict, counted) > 0


@pytest.mark.parametrize(("service", "strays"), [("measures", 0), ("", 1)])
def test_what_is_expected_and_missing_is_found(service: str, strays: int) -> None:
    """A letter or a stray that a fault has put there is gone: somebody swallowed it."""
    verdict = judged(*world(), Expected({service: 1} if service else {}, strays))
    assert set(verdict.findings) == {"I6"}


def test_lost_beginnings_of_logs_are_excused_where_they_were_cut_off_on_purpose_only() -> None:
    ledger, evidence = world()
    del evidence.topics[RESPONSES][0]
    assert {"I2", "I3"} <= judged(ledger, evidence).findings.keys()
    assert judged(ledger, evidence, Expected(truncated={RESPONSES})).findings == {}
    elsewhere = judged(ledger, evidence, Expected(truncated={STAKEHOLDERS})).findings
    assert {"I2", "I3"} <= elsewhere.keys()
