"""One platform for all journeys that leave its servers alone; each journey brings its own people, waves and exercises."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from rapport_cli.running.platform import Platform
from rapport_cli.running.state import Folder
from rapport_cli.settings import CliSettings

from tests.integration.acts import prepare
from tests.integration.rapport import Rapport


@pytest.fixture(scope="session")
def platform(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Real servers and ten real processes."""
    settings = replace(CliSettings.from_environment(), folder=tmp_path_factory.mktemp("rapport"))
    folder = Folder(settings.folder)
    with folder.held(), Platform(settings, folder, mode=request.config.getoption("--stack")) as running:
        yield running


@pytest.fixture(scope="session")
async def rapport(platform: Platform) -> AsyncIterator[Rapport]:
    """The platform with its instruments published and its measures defined."""
    async with Rapport.of(platform) as found:
        await prepare(found)
        yield found
