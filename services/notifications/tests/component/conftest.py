"""The service's API over a real MongoDB."""

from collections.abc import AsyncIterator

import pytest
from notifications.main import SERVICE
from notifications.settings import WebhookSettings
from rapport_chassis.testing import Component, component


@pytest.fixture
async def running(mongo_uri: str, database_name: str) -> AsyncIterator[Component]:
    webhook = WebhookSettings(allow_insecure=True, timeout_seconds=2)
    async with component(SERVICE, mongo_uri, database_name, webhook=webhook) as made:
        yield made
