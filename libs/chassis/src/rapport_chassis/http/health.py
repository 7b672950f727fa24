"""The private port: health for the orchestrator, metrics for Prometheus, status for people. Never for the public."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request


def private_app(
    *,
    live: Callable[[], bool],
    ready: Mapping[str, Callable[[], str | None]],
    status: Callable[[], Awaitable[dict[str, Any]]],
) -> Starlette:
    """`/livez`, `/readyz`, `/metrics`, `/status`. `ready`: name -> why not, None when it is."""

    async def livez(_: Request) -> Response:
        return JSONResponse({"live": True}) if live() else JSONResponse({"live": False}, 503)

    async def readyz(_: Request) -> Response:
        reasons = {name: reason for name, look in ready.items() if (reason := look()) is not None}
        return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    async def show(_: Request) -> Response:
        return JSONResponse(await status())

    return Starlette(
        routes=[
            Route("/livez", livez),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
            Route("/status", show),
        ],
    )
