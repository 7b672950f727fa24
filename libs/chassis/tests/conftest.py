"""Chassis tests run over real servers; what they share."""

from collections.abc import AsyncIterator

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase


@pytest.fixture(scope="session")
async def mongo_client(mongo_uri: str) -> AsyncIterator[AsyncMongoClient]:
    client: AsyncMongoClient = AsyncMongoClient(mongo_uri, tz_aware=True)
    yield client
    await client.close()


@pytest.fixture
async def database(mongo_client: AsyncMongoClient, database_name: str) -> AsyncIterator[AsyncDatabase]:
    yield mongo_client[database_name]
    await mongo_client.drop_database(database_name)
