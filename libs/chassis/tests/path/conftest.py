"""The event path over real servers: commit, relay, Kafka, consumer, commit."""

import base64
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import structlog
from pymongo import AsyncMongoClient
from rapport_chassis.runtime import Runtime, open_runtime
from rapport_chassis.settings import ServiceSettings

from libs.chassis.tests.things import INDEXES, Things

Opened = Callable[[str], Awaitable[Runtime]]


@pytest.fixture
def settings_of(mongo_uri: str, kafka_settings: dict[str, Any], database_name: str) -> Callable[[str], ServiceSettings]:
    def made(service: str) -> ServiceSettings:
        return ServiceSettings(
            service=service,
            mongo_uri=mongo_uri,
            mongo_database_prefix=f"{database_name}_",
            **kafka_settings,
            keyring_master_key=base64.b64encode(bytes(96)).decode(),
        )

    return made


@pytest.fixture
async def opened(
    settings_of: Callable[[str], ServiceSettings], mongo_client: AsyncMongoClient
) -> AsyncIterator[Opened]:
    runtimes: list[Runtime] = []

    async def open_(service: str) -> Runtime:
        runtime = await open_runtime(settings_of(service), Things, INDEXES)
        runtimes.append(runtime)
        return runtime

    yield open_
    for runtime in runtimes:
        await runtime.close()
    for runtime in runtimes:
        await mongo_client.drop_database(runtime.settings.database)
        await mongo_client.drop_database(runtime.settings.keyring)


@pytest.fixture
def quiet() -> Iterator[None]:
    """No lines: thousands of simulated worlds have a lot to warn of."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)
