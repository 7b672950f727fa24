"""Decides what must always hold, from outside evidence alone: the ledger, a dump of the databases, the raw topics.

The invariants, by the names that the report uses:

| | |
|---|---|
| I1 | what was acknowledged is in the durable state |
| I2 | journals, batch logs and topics hold the same events, and those of the state: no ghost, none missing |
| I3 | first occurrences on a partition are numbered without a gap, and an aggregate's events lie in their order |
| I4 | what was projected is what folding the events gives: to the integer, each event once |
| I5 | a write that was never acknowledged happened wholly, or not at all |
| I6 | every event that a consumer was sent was applied, parked or made a dead letter |
| I7 | memory stayed within its bound |
| I8 | everything came back by itself, in time |
| I9 | no personal data in clear, anywhere |
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from tests.faults.evidence import PERSONS, RESPONSE, Evidence
from tests.faults.ledger import Ledger
from tests.integration.acts import QUESTION
from tests.integration.rapport import Place

SHOWN = 3
"""Examples in a finding."""


@dataclass(slots=True)
class Expected:
    """What a fault puts there on purpose: `letters` by service, and where the brokers' logs begin later than they did,
    or have first occurrences in another order.
    """

    letters: Mapping[str, int] = field(default_factory=dict)
    strays: int = 0
    truncated: Collection[Place] = ()
    disordered: Collection[Place] = ()


@dataclass(slots=True)
class Verdict:
    """`findings`: invariant -> what is wrong, empty where all is well. The counts are those of the report."""

    acknowledged: int = 0
    unknown: int = 0
    events: int = 0
    lost: int = 0
    doubled: int = 0
    out_of_order: int = 0
    findings: dict[str, list[str]] = field(default_factory=dict)

    def note(self, invariant: str, what: str, offenders: Iterable[object]) -> int:
        """How many offenders there are; with some of them in the findings."""
        found = [str(each) for each in offenders]
        if found:
            self.findings.setdefault(invariant, []).append(f"{what}: {len(found)} ({', '.join(found[:SHOWN])})")
        return len(found)


def check(ledger: Ledger, evidence: Evidence, heard: Mapping[str, Collection[str]], expected: Expected) -> Verdict:
    """`heard`: service -> topics it consumes."""
    verdict = Verdict(len(ledger.promises), len(ledger.unknown), len(evidence.journal))
    verdict.note("I8", "not answered as it should be", ledger.broken)
    _promises(ledger, evidence, verdict)
    _state(ledger, evidence, verdict)
    _logs(evidence, expected, verdict)
    _order(evidence, expected, verdict)
    _projections(evidence, verdict)
    _consumed(evidence, heard, expected, verdict)
    verdict.note("I9", "personal data in clear", evidence.leaks)
    return verdict


def _promises(ledger: Ledger, evidence: Evidence, verdict: Verdict) -> None:
    lost, doubled = [], []
    told = Counter(p.aggregate for p in ledger.promises.values() if p.kind == "response")
    doubled += [event for event, senders in told.items() if senders > 1]
    stored = set(evidence.responses.values())
    for sender, promise in ledger.promises.items():
        if promise.kind == "response":
            entry = evidence.journal.get(promise.aggregate)
            if entry is None or promise.aggregate not in stored:
                lost.append(sender)
            elif entry.data["answers"].get(QUESTION) != promise.answer:
                lost.append(f"{sender} says something else now")
        else:
            version, region = evidence.stakeholders.get(promise.aggregate, (-1, ""))
            if version < promise.version or (version == promise.version and region != promise.answer):
                lost.append(sender)
    verdict.lost += verdict.note("I1", "acknowledged and lost", lost)
    verdict.doubled += verdict.note("I1", "two writes acknowledged as one", doubled)


def _state(ledger: Ledger, evidence: Evidence, verdict: Verdict) -> None:
    """Every document has its event and every event its document: so a write is whole or absent, whoever was told of it."""
    told = {entry.aggregate: id_ for id_, entry in evidence.journal.items() if entry.type == RESPONSE}
    verdict.note("I5", "response without its event", evidence.responses.keys() - told.keys())
    verdict.note("I5", "event without its response", told.keys() - evidence.responses.keys())
    twice = Counter(entry.aggregate for entry in evidence.journal.values() if entry.type == RESPONSE)
    verdict.doubled += verdict.note("I2", "response told twice", (id_ for id_, n in twice.items() if n > 1))
    events = Counter(entry.aggregate for entry in evidence.journal.values() if entry.type in PERSONS)
    wrong = [
        f"{id_}: version {v[0]}, {events[id_]} events"
        for id_, v in evidence.stakeholders.items()
        if v[0] != events[id_]
    ]
    verdict.note("I5", "stakeholder and events differ", wrong)
    verdict.note("I5", "events without their stakeholder", events.keys() - evidence.stakeholders.keys())
    written = len(evidence.responses) - ledger.count("response")
    possible = sum(kind == "response" for kind in ledger.unknown.values())
    if written > possible:
        verdict.doubled += verdict.note("I5", "responses that nobody sent", range(written - possible))
    elif written < 0:
        verdict.note("I1", "fewer responses than were acknowledged", range(-written))


def _logs(evidence: Evidence, expected: Expected, verdict: Verdict) -> None:
    verdict.note("I2", "unsent at the end", (id_ for id_, entry in evidence.journal.items() if entry.unsent))
    batched = {id_ for given in evidence.batches.values() for _, id_ in given}
    verdict.note("I2", "numbered but not in the journal", batched - evidence.journal.keys())
    verdict.lost += verdict.note("I2", "in the journal but never numbered", evidence.journal.keys() - batched)
    for place in evidence.batches.keys() | evidence.topics.keys():
        given, there = evidence.batches.get(place, []), evidence.topics.get(place, [])
        numbers = Counter(number for number, _ in given)
        ids = Counter(id_ for _, id_ in given)
        verdict.doubled += verdict.note(
            "I2", f"number given twice in {place}", (n for n, c in numbers.items() if c > 1)
        )
        verdict.doubled += verdict.note("I2", f"event numbered twice in {place}", (i for i, c in ids.items() if c > 1))
        verdict.note("I2", f"record in {place} that no journal gave", set(there) - set(given))
        if place not in expected.truncated:
            verdict.lost += verdict.note("I2", f"missing on {place}", set(given) - set(there))
        elsewhere = [id_ for _, id_ in given if id_ in evidence.journal and evidence.journal[id_].place != place]
        verdict.note("I2", f"of another partition in {place}", elsewhere)


def _order(evidence: Evidence, expected: Expected, verdict: Verdict) -> None:
    for place, records in evidence.topics.items():
        first = list(dict.fromkeys(number for number, _ in records))
        if place not in expected.truncated and place not in expected.disordered:
            wrong = [number for wanted, number in enumerate(first, 1) if number != wanted]
            verdict.out_of_order += verdict.note("I3", f"out of order in {place}", wrong)
    for place, given in evidence.batches.items():
        newest: dict[str, int] = defaultdict(lambda: -1)
        late = []
        for _, id_ in sorted(given):
            entry = evidence.journal.get(id_)
            if entry is None:
                continue
            if entry.pos <= newest[entry.aggregate]:
                late.append(entry.aggregate)
            newest[entry.aggregate] = max(entry.pos, newest[entry.aggregate])
        verdict.out_of_order += verdict.note("I3", f"an aggregate's events out of order in {place}", late)


def _projections(evidence: Evidence, verdict: Verdict) -> None:
    letters = {id_ for service in ("measures",) for _, _, _, id_ in evidence.letters.get(service, ())}
    responses = {id_: entry for id_, entry in evidence.journal.items() if entry.type == RESPONSE and id_ not in letters}
    times = Counter(evidence.counted)
    verdict.lost += verdict.note("I4", "never counted", responses.keys() - times.keys())
    verdict.doubled += verdict.note("I4", "counted twice", (id_ for id_, count in times.items() if count > 1))
    verdict.note("I4", "counted though nobody told of it", times.keys() - evidence.journal.keys())
    folded: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in responses.values():
        folded[entry.data["wave_id"]][entry.data["answers"][QUESTION]] += 1
    differ = [wave for wave, codes in folded.items() if evidence.tallies.get(wave, {}) != codes]
    verdict.note("I4", "figures that are not the fold of the events", differ)
    for service, copies in evidence.copies.items():
        parked = {id_ for _, _, _, id_ in evidence.letters.get(service, ())}
        held = {e.aggregate for id_, e in evidence.journal.items() if e.type in PERSONS and id_ in parked}
        stale = [
            id_ for id_, (_, region) in evidence.stakeholders.items() if id_ not in held and copies.get(id_) != region
        ]
        verdict.note("I4", f"{service} has another copy", stale)


def _consumed(evidence: Evidence, heard: Mapping[str, Collection[str]], expected: Expected, verdict: Verdict) -> None:
    for service, topics in heard.items():
        for place, given in evidence.batches.items():
            if place[0] in topics:
                at, head = evidence.cursors.get(service, {}).get(place, 0), max(number for number, _ in given)
                verdict.note("I6", f"{service} stands at {at} of {head} in {place}", [place] if at != head else ())
    for service in sorted(evidence.letters.keys() | expected.letters.keys()):
        letters, wanted = evidence.letters.get(service, []), expected.letters.get(service, 0)
        if len(letters) != wanted:
            verdict.note("I6", f"{wanted} letters expected in {service}, found", letters or ["none"])
    if evidence.strays != expected.strays:
        verdict.note("I6", "records without a number", [f"{expected.strays} expected, {evidence.strays} found"])
