"""A real mail server and a real web server that keep what arrives and fail on demand."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from notifications.settings import EmailSettings, WebhookSettings
from rapport_stack import mailbox
from starlette.applications import Starlette


async def until(condition: Callable[[], Awaitable[bool] | bool], *, seconds: float = 10.0) -> None:
    """Waits for a condition, and fails when it does not come true in time."""
    async with asyncio.timeout(seconds):
        while True:
            met = condition()
            if met if isinstance(met, bool) else await met:
                return
            await asyncio.sleep(0.01)


@dataclass(frozen=True, slots=True)
class Inbox:
    """Both servers, and the settings by which the channels reach them."""

    box: mailbox.Mailbox
    email: EmailSettings
    webhook: WebhookSettings
    hooks: str
    """Base URL of the web hooks; a hook's name comes behind it."""


def listening() -> socket.socket:
    """A socket on a free port of the loopback address."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    return bound


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncIterator[Inbox]:
    with mailbox.Mailbox(tmp_path) as box, listening() as web_socket, listening() as mail_socket:
        smtp = await mailbox.serve_smtp(box, mail_socket)
        web = uvicorn.Server(
            uvicorn.Config(Starlette(routes=mailbox.routes(box)), log_config=None, lifespan="off", ws="none")
        )
        serving = asyncio.create_task(web.serve(sockets=[web_socket]))
        await until(lambda: web.started)
        try:
            yield Inbox(
                box,
                EmailSettings(host="127.0.0.1", port=mail_socket.getsockname()[1], tls="none", timeout_seconds=2),
                WebhookSettings(allow_insecure=True, timeout_seconds=2),
                f"http://127.0.0.1:{web_socket.getsockname()[1]}/hooks/",
            )
        finally:
            web.should_exit = True
            await serving
            smtp.close()
            await smtp.wait_closed()
