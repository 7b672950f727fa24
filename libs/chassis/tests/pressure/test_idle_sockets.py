"""Ten thousand connections that say nothing: others are answered meanwhile, and the silent ones are sent away."""

import asyncio
import selectors
import socket
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

from libs.chassis.tests.pressure.program import HOST, Premises, Program, as_many_files_as_may_be, until

SOCKETS = 10_000
HEAD_SECONDS = 20
MOST_BYTES_EACH = 32 * 1024


@asynccontextmanager
async def silent(api: Program, count: int) -> AsyncIterator[list[socket.socket]]:
    """Connections that are accepted and say nothing, a hundred at a time: the queue of a listening socket is short."""
    loop = asyncio.get_running_loop()
    found: list[socket.socket] = []
    with ExitStack() as closing:
        while len(found) < count:
            fresh = [closing.enter_context(socket.socket()) for _ in range(min(100, count - len(found)))]
            for each in fresh:
                each.setblocking(False)
            await asyncio.gather(*(loop.sock_connect(each, (HOST, api.port)) for each in fresh))
            found += fresh
        yield found


async def test_ten_thousand_idle_sockets_keep_nobody_out_and_do_not_stay(premises: Premises) -> None:
    files = as_many_files_as_may_be(SOCKETS + 1_000)
    count = min(SOCKETS, files - 1_000)
    api = await premises.start(http_head_seconds=HEAD_SECONDS)
    before = api.rss
    begun = time.monotonic()
    async with silent(api, count) as idle:
        assert (await api.register()).status == 201
        assert (await api.get()).status == 200
        each = (api.rss - before) / count
        print(f"{count} idle sockets of {files} files: {each / 1024:.1f} KiB each")  # noqa: T201 - seen with -s
        assert each < MOST_BYTES_EACH
        with selectors.DefaultSelector() as selector:
            for one in idle:
                selector.register(one, selectors.EVENT_READ)

            async def all_sent_away() -> bool:
                for key, _ in selector.select(0):
                    assert key.fileobj.recv(1) == b""  # type: ignore[union-attr] # a socket
                    selector.unregister(key.fileobj)
                return not selector.get_map()

            await until(all_sent_away, seconds=HEAD_SECONDS + 30)
        print(f"the last is gone {time.monotonic() - begun:.0f} s after the first came")  # noqa: T201 - as above
        assert (await api.register()).status == 201


async def test_beyond_the_limit_the_longest_idle_goes(premises: Premises) -> None:
    api = await premises.start(http_connections=50, http_head_seconds=60)
    async with silent(api, 80) as idle:

        async def only_the_newest_stay() -> bool:
            return sum(_open(one) for one in idle) == 50

        await until(only_the_newest_stay)
        assert all(_open(one) for one in idle[-50:])
        assert (await api.register()).status == 201


def _open(one: socket.socket) -> bool:
    try:
        return bool(one.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
