"""The service's API over a real MongoDB, with two organisations the registry has told of."""

from datetime import date, timedelta

import pytest
from engagement.main import SERVICE
from rapport_chassis.testing import component
from rapport_events.event import Sealed
from rapport_events.registry import StakeholderErased, StakeholderRegistered

FIRST = "0190d901-9ff2-720a-87ff-8fc99a817e65"
SECOND = "0190e954-fbfd-7c4e-aeed-c7a9a6adc7f0"


@pytest.fixture
async def service(mongo_uri, database_name):
    async with component(SERVICE, mongo_uri, database_name) as running:
        for id_ in (FIRST, SECOND):
            await running.consume(
                StakeholderRegistered(
                    stakeholder_id=id_,
                    kind="organisation",
                    category="non-statutory",
                    region="wales",
                    taxonomy_version=1,
                    name=Sealed(subject=id_, token="sealed-elsewhere"),
                    synthetic=False,
                    registered_on=date(2019, 5, 1),
                ),
            )
        yield running


@pytest.fixture
async def officer(service):
    async with service.http("engagement-officer") as client:
        yield client


@pytest.fixture
def erased():
    return lambda id_: StakeholderErased(stakeholder_id=id_, erased_on=date(2019, 6, 4))


@pytest.fixture
def contact():
    """A request to log a contact with both."""
    return {
        "participants": [FIRST, SECOND],
        "level": "consult",
        "nature": "engagement",
        "mode": "proactive",
        "method": "meeting",
        "held_on": "2019-06-03",
        "notes": "Example notes",
    }


@pytest.fixture
def exercise(tomorrow):
    """A request to open an exercise."""
    return {
        "title": "Example exercise",
        "level": "involve",
        "method": "citizen-jury",
        "promise": "The wording can change, the law cannot.",
        "decision_maker": "director-wales",
        "reply_due": tomorrow,
        "participants": [FIRST, SECOND],
    }


@pytest.fixture
def tomorrow():
    """Tomorrow at the latest, wherever today ends."""
    return (date.today() + timedelta(days=2)).isoformat()  # noqa: DTZ011 - two days make the zone irrelevant


@pytest.fixture
def key():
    """Headers of a request that is new."""
    numbers = iter(range(1_000_000))
    return lambda: {"Idempotency-Key": f"example-{next(numbers)}"}
