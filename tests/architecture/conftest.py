"""The five services as they are put together, without anything running."""

import pytest
from rapport_cli.documents.house import House


@pytest.fixture(scope="session")
def house() -> House:
    return House.load()
