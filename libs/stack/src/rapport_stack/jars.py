"""Apache Kafka's jars: pinned by hash, downloaded once from Maven Central, then used without a network."""

import contextlib
import errno
import hashlib
import importlib.resources
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jgo.maven import MavenContext, PythonResolver
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from rapport_stack.errors import StackError, disk_full
from rapport_stack.settings import StackSettings

PARALLEL: Final = 6
MEGABYTE: Final = 1_000_000


@dataclass(frozen=True)
class Jar:
    """A library as Maven Central has it: SHA-256, size in bytes, and its group:artifact:version."""

    sha256: str
    size: int
    coordinate: str

    @property
    def file(self) -> str:
        """Name in a folder that holds all jars."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def pinned() -> list[Jar]:
    """The jars that Kafka needs, from kafka-jars.txt in this package."""
    lines = importlib.resources.files("rapport_stack").joinpath("kafka-jars.txt").read_text().splitlines()
    rows = (line.split() for line in lines if line and not line.startswith("#"))
    return [Jar(sha256, int(size), coordinate) for sha256, size, coordinate in rows]


def kafka_folder(settings: StackSettings) -> Path:
    """Where the cache keeps the pinned version of Kafka and what is made of it."""
    (version,) = (jar.coordinate.split(":")[2] for jar in pinned() if ":kafka-clients:" in jar.coordinate)
    return settings.cache / f"kafka-{version}"


def kafka_jars(settings: StackSettings, jars: Sequence[Jar] | None = None) -> list[Path]:
    """Paths of all jars, downloaded and verified when the cache lacks some.

    A jar gets its name in the cache only after its hash was right, so later its size is check enough.
    """
    jars = pinned() if jars is None else jars
    folder = kafka_folder(settings)
    missing = [jar for jar in jars if not _present(folder / jar.file, jar)]
    if missing:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _download(missing, folder, settings.maven_repository)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise disk_full("Apache Kafka's jars") from error
            raise
    return [folder / jar.file for jar in jars]


def _present(path: Path, jar: Jar) -> bool:
    return path.exists() and path.stat().st_size == jar.size


def _download(jars: Sequence[Jar], folder: Path, repository: str) -> None:
    size = sum(jar.size for jar in jars)
    # Beside the cache, so that a verified jar moves in at once and whole, also when two processes download.
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix="download-") as arriving,
        _progress(len(jars), size) as advance,
        ThreadPoolExecutor(PARALLEL, thread_name_prefix="jar") as threads,
    ):

        @contextlib.contextmanager
        def follow(_name: str, _size: int) -> Iterator[Callable[[int], None]]:
            yield advance

        context = MavenContext(
            resolver=PythonResolver(progress_callback=follow),
            repo_cache=Path(arriving),
            local_repos=[],
            remote_repos={"central": repository},
        )

        def fetch(jar: Jar) -> None:
            arrived = _resolve(context, jar, repository)
            _verify(arrived, jar, repository)
            shutil.move(arrived, folder / jar.file)

        for _ in threads.map(fetch, jars):
            pass


def _resolve(context: MavenContext, jar: Jar, repository: str) -> Path:
    group, artifact, version = jar.coordinate.split(":")
    try:
        return Path(context.project(group, artifact).at_version(version).artifact().resolve())
    except (OSError, RuntimeError) as error:  # requests' errors are OSErrors
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        raise StackError(
            f"Apache Kafka's library {jar.coordinate} could not be downloaded from {repository}: {_brief(error)}",
            "The first start needs a network (HTTPS_PROXY and RAPPORT_MAVEN_REPOSITORY are honoured). Start again: "
            "what has arrived is kept. Or use the stack 'external' with RAPPORT_KAFKA_BOOTSTRAP.",
        ) from error


def _brief(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def _verify(path: Path, jar: Jar, repository: str) -> None:
    with path.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != jar.sha256:
        raise StackError(
            f"{jar.coordinate} from {repository} is not the file it should be: "
            f"SHA-256 {found} instead of {jar.sha256}.",
            "Something between here and Maven Central changed it. Do not use it; try another network.",
        )


@contextlib.contextmanager
def _progress(count: int, size: int) -> Iterator[Callable[[int], None]]:
    """Show the download: a bar on a terminal, else a line at the start and one at the end."""
    console = Console(stderr=True)
    what = f"Downloading Apache Kafka, {count} jars"
    if console.is_terminal:
        columns = (TextColumn(what), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(what, total=size)
            yield lambda arrived: progress.advance(task, arrived)
    else:
        console.print(f"{what} ({size / MEGABYTE:.0f} MB), once", highlight=False)
        yield lambda _arrived: None
        console.print("Apache Kafka is downloaded and verified", highlight=False)
