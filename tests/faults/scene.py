"""A running platform with load on it, and the hands that break it."""

import asyncio
import os
import random
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from prometheus_client.parser import text_string_to_metric_families
from rapport_cli.running.platform import Platform
from rapport_cli.running.process import KeptProcess
from rapport_cli.running.state import Folder
from rapport_cli.settings import CliSettings
from rapport_stack import ports

from tests.faults.armed import Order
from tests.faults.checker import Expected
from tests.faults.ledger import Ledger
from tests.faults.load import Load
from tests.integration.acts import open_wave, prepare
from tests.integration.rapport import Rapport, until

if TYPE_CHECKING:
    from rapport_stack.kafka import KafkaServer
    from rapport_stack.mongo import MongoServer

PATIENCE = 90.0
"""Seconds until anything that must come, has come."""

IMPATIENT = {
    # A group misses a dead or frozen member after three seconds instead of ten.
    "RAPPORT_CONSUMER_SESSION_TIMEOUT_MS": "3000",
    # What waits for nothing looks for it ten times a second instead of forty: three platforms share two cores.
    "RAPPORT_CONSUMER_POLL_MS": "100",
    # A few hundred records are a backlog: batch upon batch, and what follows is fetched while one is applied.
    "RAPPORT_CONSUMER_BATCH": "25",
    "RAPPORT_LOG_LEVEL": "INFO",
    # Most of a start is importing: what is started again and again is not compiled each time, whatever the shell says.
    "PYTHONDONTWRITEBYTECODE": "",
}


@dataclass(frozen=True, slots=True)
class Ground:
    """What a fault is injected into: how many servers, and which settings differ. Faults of one ground share a platform."""

    name: str = "one of each"
    mongods: int = 1
    brokers: int = 1
    settings: Mapping[str, str] = field(default_factory=dict)
    mongod_parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Scene:
    """What the faults get to work with. Everything that happens is seeded by `dice`, given anew for each repetition."""

    rapport: Rapport
    wave: str
    orders: Path
    http: httpx.AsyncClient
    """For the private ports of the processes."""
    ledger: Ledger = field(default_factory=Ledger)
    dice: random.Random = field(default_factory=random.Random)
    letters: dict[str, int] = field(default_factory=dict)
    """Dead and parked letters that faults have put there on purpose and that stay: service -> how many."""
    strays: int = 0
    """Records without a number that faults have put on topics."""
    truncated: set[tuple[str, int]] = field(default_factory=set)
    """Places whose beginning the brokers have lost on purpose."""
    disordered: set[tuple[str, int]] = field(default_factory=set)
    """Places where strangers have put events of ours in another order, on purpose."""
    frozen: set[str] = field(default_factory=set)
    figures: dict[str, float] = field(default_factory=dict)
    """What this repetition measured beside recovery: what of -> how much."""
    load: Load = field(init=False)

    @property
    def platform(self) -> Platform:
        return self.rapport.platform

    @property
    def mongo(self) -> "MongoServer":
        return self.platform.stack.mongo  # type: ignore[return-value]

    @property
    def kafka(self) -> "KafkaServer":
        return self.platform.stack.kafka  # type: ignore[return-value]

    @property
    def expected(self) -> Expected:
        return Expected(dict(self.letters), self.strays, set(self.truncated), set(self.disordered))

    def new_load(self) -> Load:
        self.load = Load(self.rapport, self.wave, self.ledger, self.dice)
        return self.load

    # Seeing ----------------------------------------------------------------------------------------------------------

    async def counted(self) -> int:
        """How many responses the measures have counted."""
        intake = await self.rapport.mongo["measures"]["intakes"].find_one({"_id": f"{self.wave}/synthetic"})
        return intake["responses"] if intake else 0

    async def has_counted(self, event: str) -> bool:
        """Whether the measures have counted this event."""
        found = await self.rapport.mongo["measures"]["evidence"].find_one(
            {"rows": {"$elemMatch": {"0": event}}}, {"_id": 1}
        )
        return found is not None

    async def acknowledges(self, more: int = 15) -> None:
        """Wait until so many writes more have been acknowledged."""
        mark = len(self.ledger.promises) + more

        async def enough() -> bool:
            return len(self.ledger.promises) >= mark

        await until(enough, seconds=PATIENCE, what=f"{more} writes are acknowledged")

    async def flows(self, more: int = 15) -> None:
        """Wait until so many writes more have been acknowledged, and something was counted meanwhile."""
        before = await self.counted()
        await self.acknowledges(more)

        async def moved() -> bool:
            return await self.counted() > before

        await until(moved, seconds=PATIENCE, what="responses are counted")

    async def returns(self) -> None:
        """Wait until a write made now is acknowledged and counted, every server runs and every process is ready."""
        for name in list(self.frozen):
            self.thaw(name)
        self.platform.left_alone.clear()
        event = await self.load.probe()

        async def there() -> bool:
            return await self.has_counted(event)

        await until(there, seconds=PATIENCE, what="a write made after the fault is counted")
        await self.rapport.all_ready(seconds=PATIENCE)

    def memory(self) -> dict[str, float]:
        """MiB that each process has held at most since it started."""
        found = {}
        for process in self.platform.kept:
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
            except OSError:
                continue
            peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), "0")
            found[process.name] = int(peak) / 1024
        return found

    async def status(self, process: KeptProcess) -> dict[str, Any]:
        """What a process says of itself; nothing while it does not answer."""
        answered = await self._private(process, "/status")
        return answered.json() if answered is not None else {}

    async def metric(self, process: KeptProcess, name: str) -> float:
        """The sum of a metric's samples; 0 while the process does not answer."""
        answered = await self._private(process, "/metrics")
        families = text_string_to_metric_families(answered.text) if answered is not None else ()
        return sum(sample.value for family in families for sample in family.samples if sample.name == name)

    async def _private(self, process: KeptProcess, path: str) -> httpx.Response | None:
        try:
            answered = await self.http.get(process.private + path)
        except httpx.HTTPError:
            return None
        return answered if answered.is_success else None

    # Breaking --------------------------------------------------------------------------------------------------------

    def process(self, name: str) -> KeptProcess:
        """By service and half, such as "feedback-worker"."""
        return self.rapport.process(name)

    def kill(self, name: str) -> None:
        """kill -9, as if it were the first time: what dies again and again is started later each time."""
        process = self.process(name)
        process.deaths = 0
        if process.pid:
            os.kill(process.pid, signal.SIGKILL)

    def terminate(self, name: str) -> None:
        """SIGTERM, as a deployment does it."""
        process = self.process(name)
        process.deaths = 0
        process.terminate()

    def freeze(self, name: str) -> None:
        """SIGSTOP: it keeps its connections, and does nothing."""
        self.frozen.add(name)
        if pid := self.process(name).pid:
            os.kill(pid, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        self.frozen.discard(name)
        if pid := self.process(name).pid:
            os.kill(pid, signal.SIGCONT)

    @asynccontextmanager
    async def beside(self, name: str, count: int = 1) -> AsyncIterator[list[KeptProcess]]:
        """So many processes more like this one, ready for work; nobody keeps them, and kill -9 is their end."""
        kept = self.process(name)
        guests = []
        chosen = ports.choose(2 * count)
        for number, (port, public) in enumerate(zip(chosen[:count], chosen[count:], strict=True), 2):
            guest = KeptProcess(
                name=f"{name}-{number}",
                argv=[sys.executable, "-m", "rapport_chassis", *name.split("-")],
                env={**kept.env, "RAPPORT_PRIVATE_PORT": str(port), "RAPPORT_HTTP_PORT": str(public)},
                log=kept.log.with_stem(f"{name}-{number}"),
                private=f"http://{ports.LOOPBACK}:{port}",
            )
            guest.start()
            guests.append(guest)

        async def ready() -> bool:
            return all([await self._private(guest, "/readyz") for guest in guests])

        try:
            await until(ready, seconds=PATIENCE, what=f"{count} more of {name} are ready")
            yield guests
        finally:
            for guest in guests:
                if guest.pid:
                    os.kill(guest.pid, signal.SIGKILL)

    async def redeploy(self, name: str, *program: str) -> None:
        """End a process in order and let it start again as another program, `armed` where none is named; it is ready then."""
        process = self.process(name)
        gone = process.pid
        service, half = name.split("-")
        process.argv = [sys.executable, "-m", *(program or self.platform.program), service, half]
        self.terminate(name)

        async def back() -> bool:
            return process.pid not in {0, gone} and process.ready

        await until(back, seconds=PATIENCE, what=f"{name} is back as another release")

    async def strike(self, name: str, order: Order) -> None:
        """Give an armed process an order, and wait until it has fired."""
        file = self.orders / name
        self.process(name).deaths = 0
        order.give(file)

        async def fired() -> bool:
            return not file.exists()

        await until(fired, seconds=PATIENCE, what=f"{name} passes {order.point}")
        if order.act == "freeze":
            self.frozen.add(name)


@asynccontextmanager
async def staged(ground: Ground) -> AsyncIterator[Scene]:
    """A platform of its own for a ground, prepared, with a wave in the field."""
    with tempfile.TemporaryDirectory(prefix="rapport-faults-") as place:
        orders = Path(place) / "orders"
        orders.mkdir()
        settings = CliSettings.from_environment()
        settings = replace(
            settings, folder=Path(place) / "rapport", inherited={**settings.inherited, **IMPATIENT, **ground.settings}
        )
        folder = Folder(settings.folder)
        platform = Platform(
            settings,
            folder,
            mongods=ground.mongods,
            brokers=ground.brokers,
            sampling=0.1,
            program=("tests.faults.armed", str(orders)),
            mongod_parameters=ground.mongod_parameters,
        )
        with folder.held():
            await asyncio.to_thread(platform.start)
            try:
                async with Rapport.of(platform) as rapport, httpx.AsyncClient(timeout=2, trust_env=False) as http:
                    await prepare(rapport)
                    yield Scene(rapport, (await open_wave(rapport))["id"], orders, http)
            finally:
                await asyncio.to_thread(platform.stop)
