"""The event path over real servers: commit, relay, Kafka, consumer, commit."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from pymongo import AsyncMongoClient
from rapport_chassis.runtime import Runtime, open_runtime
from rapport_chassis.settings import ServiceSettings

from libs.chassis.tests.things import INDEXES, Things

Opened = Callable[[str], Awaitable[Runtime]]


@pytest.fixture
def settings_of(mongo_uri: str, kafka_bootstrap: str, database_name: str) -> Callable[[str], ServiceSettings]:
    def made(service: str) -> ServiceSettings:
        return ServiceSettings(
            service=service,
            mongo_uri=mongo_uri,
            mongo_database_prefix=f"{database_name}_",
            kafka_bootstrap=kafka_bootstrap,
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
