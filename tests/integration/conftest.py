"""One platform for all journeys that leave its servers alone; each journey brings its own people, waves and exercises."""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from rapport_cli.running.platform import Platform
from rapport_cli.running.state import Folder
from rapport_cli.settings import CliSettings

from tests.integration.acts import prepare
from tests.integration.rapport import Rapport
from tests.integration.words import Sender, Words


@contextmanager
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Real servers and ten real processes, in a folder of their own."""
    settings = replace(CliSettings.from_environment(), folder=tmp_path_factory.mktemp("rapport"))
    folder = Folder(settings.folder)
    with folder.held(), Platform(settings, folder, mode=request.config.getoption("--stack")) as platform:
        yield platform


@pytest.fixture(scope="session")
def platform(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The platform that journeys share."""
    with running(request, tmp_path_factory) as found:
        yield found


@pytest.fixture(scope="session")
async def rapport(platform: Platform) -> AsyncIterator[Rapport]:
    """The platform with its instruments published and its measures defined."""
    async with Rapport.of(platform) as found:
        await prepare(found)
        yield found


@pytest.fixture
def words() -> Words:
    return Words()


@pytest.fixture
def colleague() -> str:
    return f"colleague{secrets.token_hex(8)}"


@pytest.fixture
def door(rapport: Rapport, words: Words, colleague: str) -> Sender:
    return Sender(rapport, words, colleague)
