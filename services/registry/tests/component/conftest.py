"""The registry's API over a real MongoDB; each test begins with an empty one."""

from collections.abc import AsyncIterator

import pytest
from rapport_chassis.testing import Component, component
from registry.main import SERVICE


@pytest.fixture(scope="session")
async def registry_component(mongo_uri: str) -> AsyncIterator[Component]:
    async with component(SERVICE, mongo_uri, "registry_component") as running:
        yield running


@pytest.fixture
async def registry(registry_component: Component) -> Component:
    await registry_component.empty()
    return registry_component


@pytest.fixture
async def officer(registry: Component):
    async with registry.http("engagement-officer") as client:
        yield client


@pytest.fixture
async def analyst(registry: Component):
    async with registry.http("analyst") as client:
        yield client
