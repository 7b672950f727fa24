"""The service over memory; a real mail server and a real web server that keep what arrives and fail on demand."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn
from notifications.settings import DeliverySettings, EmailSettings, Settings, WebhookSettings
from notifications.store import Notifications
from rapport_chassis.memory import Memory
from rapport_stack import mailbox
from starlette.applications import Starlette

from services.notifications.tests.house import NOW, House, Inbox, until


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


@pytest.fixture
def house() -> House:
    settings = Settings(
        service="notifications",
        delivery=DeliverySettings(attempts=3, back_off_seconds=10, most_back_off_seconds=60, poll_seconds=0.01),
    )
    settings.webhook.allow_insecure = True
    return House(Memory(Notifications, now=NOW), settings)
