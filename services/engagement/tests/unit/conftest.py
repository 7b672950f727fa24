"""The service over memory, with what other services tell it."""

from datetime import UTC, date, datetime

import pytest
from engagement.domain.participation import Level, Method, Mode, Nature, Role
from engagement.store import Engagement
from engagement.usecases.log_contact import LogContact
from engagement.usecases.note_stakeholder import note_stakeholder
from engagement.usecases.open_exercise import OpenExercise
from rapport_chassis.memory import Memory
from rapport_events.event import Sealed
from rapport_events.registry import StakeholderErased, StakeholderRegistered


@pytest.fixture
def registered():
    def make(id_, *, region="wales", synthetic=False):
        return StakeholderRegistered(
            stakeholder_id=id_,
            kind="organisation",
            category="non-statutory",
            region=region,
            taxonomy_version=1,
            name=Sealed(subject=id_, token="sealed-elsewhere"),
            synthetic=synthetic,
            registered_on=date(2019, 5, 1),
        )

    return make


@pytest.fixture
def erased():
    return lambda id_: StakeholderErased(stakeholder_id=id_, erased_on=date(2019, 6, 4))


@pytest.fixture
async def memory(registered):
    """Monday 3 June 2019, 10:00 in London; two organisations are known."""
    memory = Memory(Engagement, now=datetime(2019, 6, 3, 9, tzinfo=UTC))
    for id_ in ("first", "second"):
        await memory.consume(registered(id_), note_stakeholder)
    return memory


@pytest.fixture
def contact():
    def make(**changes):
        values = {
            "participants": ("first",),
            "level": Level.CONSULT,
            "nature": Nature.ENGAGEMENT,
            "mode": Mode.PROACTIVE,
            "method": Method.MEETING,
            "held_on": date(2019, 6, 3),
        }
        return LogContact(**{**values, **changes})

    return make


@pytest.fixture
def exercise():
    def make(**changes):
        values = {
            "title": "Example exercise",
            "level": Level.INVOLVE,
            "method": Method.CITIZEN_JURY,
            "promise": "The wording can change, the law cannot.",
            "decision_maker": Role.DIRECTOR_WALES,
            "reply_due": date(2019, 6, 30),
            "participants": ("first", "second"),
        }
        return OpenExercise(**{**values, **changes})

    return make
