"""Pure ASGI around the app: request metrics by route template, and headers that every answer carries."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import Histogram

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

DURATION = Histogram(
    "http_server_request_duration_seconds",
    "Duration of HTTP requests",
    ["http_request_method", "http_route", "http_response_status_code"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

EVENT_STREAM = b"text/event-stream"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Observed:
    """Never a raw path in a label: what is no route of ours is counted as one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 500
        lasting = False

        async def tell(message: Message) -> None:
            nonlocal status, lasting
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [(name, value) for name, value in message.get("headers", ()) if name != b"cache-control"]
                lasting = any(name == b"content-type" and value.startswith(EVENT_STREAM) for name, value in headers)
                headers += [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self.app(scope, receive, tell)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in METHODS else "_OTHER"
            if not lasting:  # how long somebody listens is no measure of ours
                DURATION.labels(method, route, str(status)).observe(time.perf_counter() - begun)
