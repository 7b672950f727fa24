"""The five services with nothing behind them but a real MongoDB, each told enough that its doors lead somewhere."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from rapport_chassis.allowances import ALLOWANCES
from rapport_chassis.http.connections import Limits
from rapport_chassis.service import _server
from rapport_chassis.testing import Component, component
from rapport_cli.documents.house import House
from rapport_cli.running.state import SERVICES
from rapport_stack import ports

from tests.doors import known
from tests.doors.door import Door, doors


@dataclass(slots=True)
class Site:
    """One service that was told something, and its doors."""

    component: Component
    doors: list[Door]

    def http(self, *roles: str, subject: str = "tester") -> httpx.AsyncClient:
        return self.component.http(*roles, subject=subject)

    async def state(self) -> dict[str, dict[str, Any]]:
        """Every document of the service, its journal and its keys: "database/collection" -> id -> document.

        But for who has asked for how much: that is what a request may change whatever comes of it.
        """
        runtime = self.component.runtime
        found: dict[str, dict[str, Any]] = {}
        for database in (runtime.database, runtime.client[runtime.settings.keyring]):
            for name in sorted(set(await database.list_collection_names()) - {ALLOWANCES}):
                documents = {str(d["_id"]): d async for d in database[name].find({})}
                if documents:
                    found[f"{database.name}/{name}"] = documents
        return found


class Street:
    """Houses by name, each entered once a run."""

    def __init__(self, mongo_uri: str, stack: AsyncExitStack) -> None:
        self._mongo_uri = mongo_uri
        self._stack = stack
        self._houses: dict[str, Site] = {}

    async def house(self, name: str) -> Site:
        if name not in self._houses:
            service = next(service for service in House.load().services if service.name == name)
            running = await self._stack.enter_async_context(component(service, self._mongo_uri, f"doors_{name}"))
            async with running.http(*known.ROLES, subject="somebody") as http:
                told = await known.TELL[name](running, http) if name in known.TELL else {}
            self._houses[name] = Site(running, doors(name, running.app.openapi(), told))
        return self._houses[name]


@pytest.fixture(scope="session")
async def street(mongo_uri: str) -> AsyncIterator[Street]:
    async with AsyncExitStack() as stack:
        yield Street(mongo_uri, stack)


@pytest.fixture(params=SERVICES)
async def house(request: pytest.FixtureRequest, street: Street) -> Site:
    return await street.house(request.param)


@asynccontextmanager
async def served(site: Site, limits: Limits) -> AsyncIterator[int]:
    """The port on which a service answers over real connections, as its process would."""
    (port,) = ports.choose(1)
    server = _server(site.component.app, "127.0.0.1", port, limits)
    server.config.lifespan = "off"
    serving = asyncio.create_task(server.serve())
    while not server.started:
        assert not serving.done(), serving.result()
        await asyncio.sleep(0.01)
    try:
        yield port
    finally:
        server.should_exit = True
        await serving
