"""Services that keep objects for different people, over a real MongoDB whose commands are counted."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import date

import pytest
from pymongo import monitoring
from rapport_chassis.testing import component
from rapport_cli.documents.house import House
from rapport_events.event import Sealed
from rapport_events.registry import StakeholderRegistered

from tests.doors import known
from tests.doors.conftest import Site
from tests.doors.door import doors
from tests.rights.objects import KEEPERS, PEOPLE

LOOKED_AT = frozenset({"stakeholders", "contacts", "exercises", "keys"})


class Reads(monitoring.CommandListener):
    """How often each collection that holds somebody's objects, or their keys, was read."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        collection = event.command.get(event.command_name)
        if event.command_name in {"find", "aggregate"} and collection in LOOKED_AT:
            self.counts[collection] += 1

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


@pytest.fixture(scope="session")
def reads() -> Reads:
    listener = Reads()
    monitoring.register(listener)
    return listener


@pytest.fixture(scope="session")
async def sites(mongo_uri: str, reads: Reads) -> AsyncIterator[dict[str, Site]]:
    """All five services by name."""
    found = {}
    async with AsyncExitStack() as stack:
        for service in House.load().services:
            running = await stack.enter_async_context(component(service, mongo_uri, f"rights_{service.name}"))
            async with running.http(*known.ROLES, subject="somebody") as http:
                told = await known.TELL[service.name](running, http) if service.name in known.TELL else {}
            if service.name == "engagement":
                for region, id_ in PEOPLE.items():
                    await running.consume(
                        StakeholderRegistered(
                            stakeholder_id=id_,
                            kind="organisation",
                            category="non-statutory",
                            region=region,
                            taxonomy_version=1,
                            name=Sealed(subject=id_, token="sealed-elsewhere"),
                            synthetic=True,
                            registered_on=date(2019, 5, 1),
                        )
                    )
            found[service.name] = Site(running, doors(service.name, running.app.openapi(), told))
        yield found


@pytest.fixture(params=sorted(KEEPERS))
def keeper(request: pytest.FixtureRequest, sites: dict[str, Site]) -> Site:
    """Each service that keeps objects for some and not for others."""
    return sites[request.param]
