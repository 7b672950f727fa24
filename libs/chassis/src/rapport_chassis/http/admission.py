"""Not more writes at once than there is memory for: the next is refused at once, reads go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapport_chassis.http import problems

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Admission:
    """Pure ASGI. A write is under way from the end of its body until its answer begins; beyond `most` of them it is 503.

    Not from its headers: a few clients that send slowly would keep all others out.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self.most = most
        self.under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE:
            await self.app(scope, receive, send)
            return
        held = answered = refused = False

        async def admit() -> Message:
            nonlocal held, answered, refused
            message = await receive()
            whole = message["type"] == "http.request" and not message.get("more_body", False)
            if not whole or held or answered:
                return message
            if self.under_way >= self.most:
                answered = refused = True
                await _refusal()(scope, receive, send)
                return {"type": "http.disconnect"}  # the app has nothing to do for it any more
            self.under_way += 1
            held = True
            return message

        async def answer(message: Message) -> None:
            nonlocal held, answered
            if refused:
                return
            answered = True
            if held and message["type"] == "http.response.start":
                held = False
                self.under_way -= 1
            await send(message)

        try:
            await self.app(scope, admit, answer)
        finally:
            if held:
                self.under_way -= 1


def _refusal() -> problems.ProblemResponse:
    return problems.problem(
        503, "too many writes are under way; try again shortly", slug="unavailable", headers={"Retry-After": "2"}
    )
