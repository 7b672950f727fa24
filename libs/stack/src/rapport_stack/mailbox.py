"""A development inbox: an SMTP server and a webhook endpoint that keep what arrives and fail on demand.

Faults are injected per target (a hook's name or a mail address), so that a sender's back-off can be watched.
"""

import asyncio
import email
import email.policy
import json
import socket
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from aiosmtpd.smtp import SMTP, Envelope, Session
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

FAULTS = range(400, 600)
"""What a fault may answer, as HTTP status and as SMTP reply code alike."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL, target TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL,
    headers TEXT NOT NULL, at REAL NOT NULL, verified INTEGER, answer INTEGER NOT NULL, injected INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, secret TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS faults (target TEXT PRIMARY KEY, status INTEGER NOT NULL, times INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Received:
    """One message for one recipient."""

    kind: Literal["mail", "webhook"]
    to: str
    """Mail address or the hook's name."""
    subject: str
    """Subject of a mail, event type of a webhook."""
    body: str
    headers: dict[str, str]
    at: datetime
    verified: bool | None
    """Whether the webhook's signature is right; None where there is nothing to check it with."""
    answer: int
    """SMTP reply code or HTTP status that the sender got."""


class Mailbox:
    """What arrived, which secrets are known and which faults are due, in SQLite under `folder`.

    The newest `keep` messages stay. Several processes may open the same folder.
    """

    def __init__(self, folder: Path, *, keep: int = 10_000) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._keep = keep
        self._db = sqlite3.connect(folder / "mailbox.sqlite", timeout=10)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.executescript(SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    def messages(self, *, to: str | None = None, turned_away: bool = False, limit: int = 1000) -> list[Received]:
        """The newest `limit` messages, oldest first; attempts that met an injected fault only with `turned_away`."""
        rows = self._db.execute(
            "SELECT kind, target, subject, body, headers, at, verified, answer FROM messages"
            " WHERE (:to IS NULL OR target = :to) AND (:turned_away OR NOT injected) ORDER BY id DESC LIMIT :limit",
            {"to": to, "turned_away": turned_away, "limit": limit},
        ).fetchall()
        return [
            Received(
                kind=kind,
                to=target,
                subject=subject,
                body=body,
                headers=json.loads(headers),
                at=datetime.fromtimestamp(at, UTC),
                verified=None if verified is None else bool(verified),
                answer=answer,
            )
            for kind, target, subject, body, headers, at, verified, answer in reversed(rows)
        ]

    def trust(self, name: str, secret: str) -> None:
        """Check the signatures of hook `name` with `secret` (`whsec_` and base64) from now on; raises ValueError."""
        try:
            Webhook(secret)
        except Exception as error:  # the library lets errors of several kinds through
            raise ValueError("a secret is whsec_ and base64") from error
        with self._db:
            self._db.execute("INSERT OR REPLACE INTO secrets VALUES (?, ?)", (name, secret))

    def fail(self, target: str, status: int, times: int) -> None:
        """Answer the next `times` messages to `target` with `status`: an HTTP status, or the SMTP reply code."""
        with self._db:
            self._db.execute("INSERT OR REPLACE INTO faults VALUES (?, ?, ?)", (target, status, times))

    def take_fault(self, target: str) -> int | None:
        """The status of the fault that is due for `target`, used up by one; None when nothing is due."""
        with self._db:
            row = self._db.execute(
                "UPDATE faults SET times = times - 1 WHERE target = ? AND times > 0 RETURNING status", (target,)
            ).fetchone()
        return row[0] if row else None

    def receive_mail(self, to: str, content: bytes) -> None:
        """Keep a mail (RFC 5322 bytes) that was accepted for one recipient."""
        message = email.message_from_bytes(content, policy=email.policy.default)
        part = message.get_body(preferencelist=("plain", "html"))
        self._keep_one(
            kind="mail",
            target=to,
            subject=str(message.get("subject", "")),
            body=part.get_content().replace("\r\n", "\n") if part else "",
            headers={name.lower(): str(value) for name, value in message.items()},
            answer=250,
        )

    def refuse_mail(self, to: str, code: int) -> None:
        """Keep the attempt of a mail that met an injected fault; its content was never sent."""
        self._keep_one(kind="mail", target=to, subject="", body="", headers={}, answer=code, injected=True)

    def receive_hook(self, name: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Keep a webhook and return the HTTP status for its sender: 204, 401 for a wrong signature, or a fault's."""
        fault = self.take_fault(name)
        verified = self._verified(name, body, headers)
        answer = fault or (401 if verified is False else 204)
        text = body.decode(errors="replace")
        self._keep_one(
            kind="webhook",
            target=name,
            subject=_event_type(text),
            body=text,
            headers=dict(headers),
            verified=verified,
            answer=answer,
            injected=fault is not None,
        )
        return answer

    def _verified(self, name: str, body: bytes, headers: Mapping[str, str]) -> bool | None:
        row = self._db.execute("SELECT secret FROM secrets WHERE name = ?", (name,)).fetchone()
        if row is None:
            return None
        try:
            Webhook(row[0]).verify(body, dict(headers), json_parse=False)
        except (WebhookVerificationError, ValueError):  # ValueError: headers or body that are not even well-formed
            return False
        return True

    def _keep_one(
        self,
        *,
        kind: str,
        target: str,
        subject: str,
        body: str,
        headers: dict[str, str],
        answer: int,
        verified: bool | None = None,
        injected: bool = False,
    ) -> None:
        with self._db:
            row = self._db.execute(
                "INSERT INTO messages (kind, target, subject, body, headers, at, verified, answer, injected)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (kind, target, subject, body, json.dumps(headers), time.time(), verified, answer, injected),
            )
            self._db.execute("DELETE FROM messages WHERE id <= ?", ((row.lastrowid or 0) - self._keep,))


class _Recipient:
    """aiosmtpd's handler: the upper-case names are its interface."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if code := self._mailbox.take_fault(address):
            self._mailbox.refuse_mail(address, code)
            return f"{code} injected fault"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content or b""
        for address in envelope.rcpt_tos:
            self._mailbox.receive_mail(address, content if isinstance(content, bytes) else content.encode())
        return "250 OK"


async def serve_smtp(mailbox: Mailbox, sock: socket.socket) -> asyncio.Server:
    """Start an SMTP server in the running loop on a bound socket; the caller closes it."""
    loop = asyncio.get_running_loop()
    protocol = partial(SMTP, _Recipient(mailbox), enable_SMTPUTF8=True, ident="Rapport development inbox", loop=loop)
    return await loop.create_server(protocol, sock=sock)


def routes(mailbox: Mailbox) -> list[Route]:
    """Webhook endpoint, the inbox as JSON, and the controls for faults and secrets."""

    async def receive(request: Request) -> Response:
        body = await request.body()
        return Response(status_code=mailbox.receive_hook(request.path_params["name"], body, request.headers))

    async def inbox(request: Request) -> JSONResponse:
        query = request.query_params
        found = mailbox.messages(to=query.get("to"), turned_away=query.get("turned_away") == "true")
        return JSONResponse([asdict(message) | {"at": message.at.isoformat()} for message in found])

    async def inject(request: Request) -> Response:
        match await _json(request):
            case {"target": str(target), "status": int(status), "times": int(times)} if status in FAULTS and times >= 0:
                mailbox.fail(target, status, times)
                return Response(status_code=204)
        return _malformed('send {"target": name or address, "status": 400 to 599, "times": 0 or more}')

    async def trust(request: Request) -> Response:
        match await _json(request):
            case {"name": str(name), "secret": str(secret)}:
                try:
                    mailbox.trust(name, secret)
                except ValueError as error:
                    return _malformed(str(error))
                return Response(status_code=204)
        return _malformed('send {"name": hook, "secret": "whsec_..."}')

    return [
        Route("/hooks/{name}", receive, methods=["POST"]),
        Route("/inbox", inbox),
        Route("/inbox/faults", inject, methods=["POST"]),
        Route("/inbox/secrets", trust, methods=["POST"]),
    ]


async def _json(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError:
        return None


def _malformed(detail: str) -> JSONResponse:
    return JSONResponse({"title": "Bad Request", "detail": detail}, 400, media_type="application/problem+json")


def _event_type(text: str) -> str:
    """The `type` of a Standard Webhooks payload, or nothing."""
    try:
        payload = json.loads(text)
    except ValueError:
        return ""
    return str(payload.get("type", "")) if isinstance(payload, dict) else ""
