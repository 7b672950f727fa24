"""Processes of ours that die at a chosen line or anywhere, that are replaced, that stall, whose clock is wrong, that are flooded."""

import asyncio
import contextlib
import importlib.util
import itertools
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from rapport_cli.running.process import KeptProcess
from rapport_cli.running.state import SERVICES

from tests.faults.armed import Order
from tests.faults.catalogue import fault
from tests.faults.scene import PATIENCE, Scene
from tests.integration.acts import QUESTION
from tests.integration.rapport import ROLES, new_key, until

WRITTEN = {
    "feedback-api": ("keys", "idempotency", "responses", "journal"),
    "registry-api": ("keys", "idempotency", "stakeholders", "journal"),
}
"""What a request writes in its one transaction."""
POINTS = {
    name: [*((f"write {each}", when) for each in written for when in ("before", "after")), ("commit", "before")]
    for name, written in WRITTEN.items()
}
_turn = itertools.count()

MOST_KILLS = 20
"""Of an API after its commit. Half of them cut off nobody who repeats a request: five in a row did so, once in 20 repetitions."""

EVERYBODY = [f"{service}-{half}" for service in SERVICES for half in ("api", "worker")]


@fault("F1", "kill -9 of two APIs between the operations of their transactions, at every point in turn")
async def api_between_operations(scene: Scene) -> int:
    turn = next(_turn) or scene.dice.randrange(len(POINTS["feedback-api"]))
    orders = {name: Order(*points[turn % len(points)]) for name, points in POINTS.items()}
    await asyncio.gather(*(scene.strike(name, order) for name, order in orders.items()))
    return len(orders)


@fault("F2", "kill -9 of an API after the commit, before the answer: whoever repeats the request gets the same answer")
async def api_after_commit(scene: Scene) -> int:
    name = scene.dice.choice(list(POINTS))
    replayed = scene.ledger.replayed
    for kills in range(1, MOST_KILLS + 1):
        await scene.strike(name, Order("commit", "after", skip=scene.dice.randrange(4)))
        await scene.acknowledges()
        if scene.ledger.replayed > replayed:  # else those who were cut off were none of those who insist
            return kills
    raise AssertionError("nobody who repeated a request was given the answer of the first time")


@fault("F7", "kill -9 of every process of every service, in random order", limits="10 kills a repetition, 200 in 20.")
async def everybody_in_turn(scene: Scene) -> int:
    scene.dice.shuffle(order := list(EVERYBODY))
    for name in order:

        async def runs(name: str = name) -> bool:
            return bool(scene.process(name).pid)

        await until(runs, seconds=PATIENCE, what=f"{name} runs")
        scene.kill(name)
        await asyncio.sleep(scene.dice.uniform(0.0, 0.6))
    return len(order)


@fault("F28", "clock of an API, a relay or a consumer an hour wrong, and jumping back, while it works")
async def skewed_clock(scene: Scene) -> int:
    name = scene.dice.choice(("registry-api", "feedback-api", "registry-worker", "feedback-worker", "measures-worker"))
    clock = scene.orders / f"{name}-clock"
    clock.write_text("+0")
    process = scene.process(name)
    straight = process.env
    process.env = {**straight, **_faked(clock)}
    hours = [1, -1] if scene.dice.random() < 0.5 else [-1, 1, -1]
    with _tolerant(scene, name.removesuffix("-api")):
        await scene.redeploy(name)
        for each in hours:
            clock.write_text(f"{each * 3600:+d}")
            await _takes_effect(scene, name, each)
            await scene.flows()
        process.env = straight
        await scene.redeploy(name)
    return len(hours)


@fault(
    "F42",
    "SIGTERM under load, process after process; then SIGTERM and, after a grace that may be too short, SIGKILL",
    limits="3 processes in order and 2 by force a repetition, 60 and 40 in 20.",
)
async def rolling(scene: Scene) -> int:
    names = scene.dice.sample(EVERYBODY, 5)
    for name in names[:3]:
        await _ended_in_order(scene, scene.process(name))
    for name in names[3:]:
        scene.terminate(name)
        await asyncio.sleep(scene.dice.uniform(0.0, 0.3))
        scene.kill(name)
    return len(names)


@fault(
    "F46",
    "flood, ten thousand idle connections, and two hundred that send a byte now and then",
    limits="the flood lasts 5 s, and is as strong as one sender on the same two cores can make it: see its figure.",
)
async def flood(scene: Scene) -> int:
    async with _files:
        return await _flood(scene)


async def _flood(scene: Scene) -> int:
    _raise_file_limit()
    url = urlsplit(scene.platform.state.urls["feedback"])
    idle = await asyncio.gather(*(_connected(url.hostname, url.port) for _ in range(IDLE)), return_exceptions=True)
    slow = await asyncio.gather(*(_connected(url.hostname, url.port) for _ in range(SLOW)))
    drips = [asyncio.create_task(_drip(*each)) for each in slow]
    before, began = len(scene.ledger.promises), time.monotonic()

    async def send() -> None:
        while time.monotonic() - began < FLOOD_SECONDS:
            await scene.load.probe()

    try:
        await asyncio.gather(*(send() for _ in range(FLOODERS)))
        scene.figures["writes acknowledged a second in the flood"] = (len(scene.ledger.promises) - before) / (
            time.monotonic() - began
        )
        async with asyncio.timeout(PATIENCE):
            outcomes = await asyncio.gather(*drips)
        assert all(outcomes), "a request that comes in a byte at a time was waited for"
    finally:
        for each in (*idle, *slow):
            if not isinstance(each, BaseException):
                each[1].close()
    return FLOODERS + IDLE + SLOW


@fault(
    "F48",
    "event loop of a consumer stalled for 5 s in the midst of a batch; a second one takes its place",
    limits="5 s instead of 20, with a group's patience of 3 s instead of 10. Nobody acts on /livez here: it is looked at.",
)
async def stalled_loop(scene: Scene) -> int:
    kept = scene.process("measures-worker")
    restarts = kept.restarts
    point = scene.dice.choice(("write answers", "write intakes", "write cursors", "commit"))
    async with scene.beside(kept.name) as (other,):
        await scene.strike(kept.name, Order(point, act="stall", seconds=5))
        began = time.monotonic()
        dead: set[str] = set()
        while time.monotonic() - began < 5:
            everybody = [each for each in (*scene.platform.kept, other) if each is not kept]
            alive = await asyncio.gather(*(_lives(each) for each in everybody))
            dead |= {each.name for each, lives in zip(everybody, alive, strict=True) if not lives}
            await asyncio.sleep(0.2)
        assert not dead, f"one stalls, and {sorted(dead)} would be restarted"
        await scene.flows()
    assert kept.restarts == restarts, "it died of it"
    return 1


# Clocks --------------------------------------------------------------------------------------------------------------


def _faked(clock: Path) -> dict[str, str]:
    """The environment of a process whose time of day is off by what the file says; monotonic clocks stay as they are."""
    package = importlib.util.find_spec("libfaketime")
    assert package is not None
    assert package.submodule_search_locations
    library = Path(package.submodule_search_locations[0], "vendor", "libfaketime", "src", "libfaketime.so.1")
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


@contextlib.contextmanager
def _tolerant(scene: Scene, service: str) -> Iterator[None]:
    """Let the load carry a token that is good at any of these hours."""
    if service not in SERVICES:
        yield
        return
    http = scene.rapport.http(service)
    usual = http.headers["Authorization"]
    http.headers["Authorization"] = f"Bearer {_token(scene, from_hour=-3, to_hour=3)}"
    try:
        yield
    finally:
        http.headers["Authorization"] = usual


def _token(scene: Scene, *, from_hour: float, to_hour: float) -> str:
    now = int(time.time())
    times = {"iat": now + int(from_hour * 3600), "exp": now + int(to_hour * 3600)}
    return scene.platform.bench.issuer().token("journey", ROLES, extra=times)


async def _takes_effect(scene: Scene, name: str, hours: int) -> None:
    """An API whose clock is wrong refuses who is not yet, or no longer, what a token says; a worker has no clock to see."""
    if not name.endswith("-api"):
        await asyncio.sleep(1.2)  # it looks at the file once a second
        return
    url = scene.platform.state.urls[name.removesuffix("-api")]
    path = {"registry-api": "/stakeholders", "feedback-api": "/waves"}[name]

    async def refused() -> bool:
        odd = _token(
            scene, from_hour=-0.5, to_hour=0.5
        )  # another one each time: what was verified is known for a while
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            answered = await http.get(path, headers={"Authorization": f"Bearer {odd}"})
        return answered.status_code == httpx.codes.UNAUTHORIZED

    await until(refused, seconds=PATIENCE, what=f"the clock of {name} is {hours:+d} h off")


# Endings -------------------------------------------------------------------------------------------------------------


async def _ended_in_order(scene: Scene, process: KeptProcess) -> None:
    """SIGTERM: it ends by itself, without an error, and is back."""
    gone, process.code = process.pid, None
    scene.terminate(process.name)

    async def over() -> bool:
        return process.code is not None

    await until(over, seconds=PATIENCE, what=f"{process.name} ends")
    assert process.code == 0, f"{process.name} ended with code {process.code}"

    async def back() -> bool:
        return process.pid not in {0, gone} and process.ready

    await until(back, seconds=PATIENCE, what=f"{process.name} is back")


async def _lives(process: KeptProcess) -> bool:
    """What an orchestrator would ask; it would give it more than one chance."""
    async with httpx.AsyncClient(base_url=process.private, timeout=5, trust_env=False) as http:
        try:
            return (await http.get("/livez")).is_success
        except httpx.HTTPError:
            return False


# Floods --------------------------------------------------------------------------------------------------------------

FLOODERS = 90
FLOOD_SECONDS = 5.0
IDLE = 10_000
SLOW = 200
FILES = 2 * IDLE
_files = asyncio.Lock()
"""One flood at a time: this process has not the files for two."""

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _connected(host: str | None, port: int | None) -> Connection:
    return await asyncio.open_connection(host, port)


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Send a request's head a byte at a time; whether the server hung up before it was whole."""
    head = f"POST /waves/none/responses HTTP/1.1\r\nHost: api\r\nIdempotency-Key: {new_key()}{QUESTION * 20}"
    hung_up = asyncio.create_task(_hung_up(reader))
    try:
        for byte in head.encode():
            if not hung_up.done() and not writer.is_closing():
                writer.write(bytes([byte]))
                await asyncio.wait({hung_up}, timeout=0.3)
        return hung_up.done()
    finally:
        hung_up.cancel()


async def _hung_up(reader: asyncio.StreamReader) -> None:
    """Wait for the end of what the server says. A byte that crosses its farewell is answered with a reset instead."""
    with contextlib.suppress(ConnectionError):
        while await reader.read(1024):
            pass


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, hard), hard))
