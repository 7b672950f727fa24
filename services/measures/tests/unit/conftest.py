"""Short ways to say what a test judges, and what it tells the service."""

import itertools
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import settings
from measures.contract import AFTER_BATCH, CONSUMES
from measures.domain.cells import WEIGHT_UNIT, Cells
from measures.domain.definition import Dimension, Group, MeasureDefinition, Rule
from measures.store import Measures
from measures.usecases.load_definitions import LoadDefinitions, load_definitions
from rapport_chassis.memory import Memory
from rapport_events.envelope import Envelope
from rapport_events.event import Sealed
from rapport_events.feedback import ResponseReceived, WaveClosed, WaveOpened
from rapport_events.measures import VerdictChanged
from rapport_events.registry import StakeholderRegistered

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")  # a busy machine is no counterexample


@pytest.fixture(scope="session")
def plain():
    """Cells of n unweighted answers."""

    def cells(yes, n):
        return Cells(n, n * WEIGHT_UNIT, n * WEIGHT_UNIT**2, yes * WEIGHT_UNIT, yes * WEIGHT_UNIT**2)

    return cells


@pytest.fixture(scope="session")
def measure():
    """A definition of which only the rule and its numbers matter."""

    def definition(rule, *, baseline=None, threshold=None, baseline_base=None):
        return MeasureDefinition(
            id="EX-1",
            title="example",
            instrument="example",
            question="example.question",
            question_version=1,
            series=1,
            group=Group(Dimension.EVERYONE, "all", "all"),
            rule=Rule(rule),
            counts=frozenset({"yes"}),
            left_out=frozenset({"refused"}),
            unknown=frozenset(),
            baseline=None if baseline is None else Decimal(baseline),
            baseline_base=baseline_base,
            threshold=None if threshold is None else Decimal(threshold),
            frequency="annual",
        )

    return definition


PPT = "public-perceptions-tracker"
SURVEY = "stakeholder-survey"


class Story:
    """The service over memory: events in, in batches, as the consumer would apply them."""

    def __init__(self):
        self.memory = Memory(Measures)
        self.count = 0

    async def tell(self, *events, ids=None):
        """One batch."""
        await self.memory.keyring.open()
        unit = self.memory.unit(actor="measures")
        for place, event in enumerate(events):
            self.count += 1
            id_ = ids[place] if ids else f"event-{self.count}"
            unit.consumed = Envelope.of(
                event, id=id_, source="urn:rapport:test", time=self.memory.now, correlationid="test"
            )
            await CONSUMES[type(event)](event, unit)
        unit.consumed = None
        await AFTER_BATCH(unit)
        await self.memory.commit(unit)

    async def load(self):
        return await self.memory.run(load_definitions, LoadDefinitions(), actor="analyst")

    async def ask(self, use_case, question):
        return await use_case(question, self.memory.unit())

    def documents(self, collection):
        return self.memory.documents.collections.get(collection, {})

    def told(self, measure=None, subject="all"):
        """Verdict changes, of one measure and subject where named."""
        return [
            event
            for event in self.memory.events
            if isinstance(event, VerdictChanged)
            and (measure is None or (event.measure_id, event.subject_key) == (measure, subject))
        ]


@pytest.fixture
async def story():
    made = Story()
    await made.load()
    return made


@pytest.fixture
def untold():
    """Before the definitions are loaded."""
    return Story()


@pytest.fixture(scope="session")
def opened():
    def wave(id_, ordinal=0, *, instrument=PPT, year=None, **facts):
        return WaveOpened(
            **{
                "wave_id": id_,
                "instrument_id": instrument,
                "instrument_code": instrument,
                "instrument_version": 1,
                "ordinal": ordinal,
                "year": ordinal if year is None else year,
                "starts_on": date(2020, 1, 1),
                "ends_on": date(2020, 2, 1),
                "question_versions": {},
                "synthetic": True,
                **facts,
            },
        )

    return wave


@pytest.fixture(scope="session")
def closed():
    def wave(id_, ordinal=0, *, instrument=PPT):
        return WaveClosed(wave_id=id_, instrument_code=instrument, ordinal=ordinal, closed_on=date(2020, 2, 1))

    return wave


@pytest.fixture(scope="session")
def response():
    numbers = itertools.count()

    def answered(wave, answers, **facts):
        return ResponseReceived(
            **{
                "response_id": f"response-{next(numbers)}",
                "wave_id": wave,
                "instrument_code": PPT,
                "answers": answers,
                "day": date(2020, 1, 15),
                "synthetic": True,
                **facts,
            },
        )

    return answered


@pytest.fixture(scope="session")
def share(response):
    """`yes` of `n` responses that answer one question with one of two codes."""

    def responses(wave, yes, n, *, question="ppt.heard", codes=("yes", "no"), **facts):
        return [response(wave, {question: codes[0] if place < yes else codes[1]}, **facts) for place in range(n)]

    return responses


@pytest.fixture(scope="session")
def stakeholder():
    def registered(id_, segment="police", *, kind=StakeholderRegistered, **facts):
        when = (
            {"registered_on": date(2020, 1, 1)}
            if kind is StakeholderRegistered
            else {"amended_on": date(2020, 1, 2), "changed": ("segment",)}
        )
        return kind(
            **{
                "stakeholder_id": id_,
                "kind": "organisation",
                "category": "statutory",
                "segment": segment,
                "taxonomy_version": 1,
                "name": Sealed(subject=id_, token="sealed-elsewhere"),
                "synthetic": True,
                **when,
                **facts,
            },
        )

    return registered
