"""Processes under pressure: a real service, a real issuer, a real MongoDB."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient
from rapport_stack.process import spawn, stop, until
from rapport_stack.workbench import Workbench

from libs.chassis.tests.pressure.program import Premises, Program


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    folder = tmp_path_factory.mktemp("workbench")
    argv = [sys.executable, "-m", "rapport_stack.workbench", "--folder", folder]
    process = spawn(argv, log=folder / "workbench.log")
    assert until(lambda: Workbench.read(folder) is not None, seconds=60)
    found = Workbench.read(folder)
    assert found is not None
    yield found
    stop(process)


@pytest.fixture
async def premises(
    mongo_uri: str, mongo_client: AsyncMongoClient, bench: Workbench, database_name: str, tmp_path: Path
) -> AsyncIterator[Premises]:
    found = Premises(mongo_uri, bench, database_name, tmp_path)
    yield found
    found.stop()
    for name in await mongo_client.list_database_names():
        if name.startswith(database_name):
            await mongo_client.drop_database(name)


@pytest.fixture(scope="module")
async def shared(
    mongo_uri: str, mongo_client: AsyncMongoClient, bench: Workbench, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Program]:
    """A service with short bounds, for tests that leave it as it was."""
    found = Premises(mongo_uri, bench, "pressure", tmp_path_factory.mktemp("shared"))
    yield await found.start(http_head_seconds=1.5, http_body_grace_seconds=1.5, http_reading_seconds=1.5)
    found.stop()
    for name in ("pressure_registry", "pressure_keyring"):
        await mongo_client.drop_database(name)
