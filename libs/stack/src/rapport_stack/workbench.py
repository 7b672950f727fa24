"""`python -m rapport_stack.workbench --folder F`: issuer, span receiver and mailbox in one process for development.

Everything listens on 127.0.0.1, unless it runs in a container of its own. `workbench.json` in the folder says where, from the moment all of it answers until it stops.
"""

import argparse
import asyncio
import errno
import html
import json
import os
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from rapport_stack import mailbox, spans
from rapport_stack.issuer import Issuer
from rapport_stack.mailbox import Mailbox
from rapport_stack.process import alive
from rapport_stack.spans import SpanStore

HOST = "127.0.0.1"
ADDRESS_FILE = "workbench.json"
PORTS_FILE = "ports.json"


class PortTakenError(Exception):
    """A port that was asked for by number belongs to another program."""


@dataclass(frozen=True, slots=True)
class Workbench:
    """Where the development programs of a folder are, and where they keep their data."""

    folder: Path
    url: str
    smtp_port: int
    pid: int

    @classmethod
    def read(cls, folder: Path) -> "Workbench | None":
        """The running workbench of `folder`, or None when none is ready there."""
        try:
            found = json.loads((folder / ADDRESS_FILE).read_text())
        except FileNotFoundError:
            return None
        if not alive(found["pid"]):  # a killed one leaves its file behind
            return None
        return cls(folder, found["url"], found["smtp"]["port"], found["pid"])

    def issuer(self) -> Issuer:
        return Issuer(self.folder / "issuer", self.url)

    def spans(self) -> SpanStore:
        return SpanStore(self.folder / "spans")

    def mailbox(self) -> Mailbox:
        return Mailbox(self.folder / "mailbox")

    def announce(self) -> None:
        """Write `workbench.json`; `otlp_endpoint` is a base URL as in OTEL_EXPORTER_OTLP_ENDPOINT."""
        content = {
            "url": self.url,
            "issuer": self.url,
            "otlp_endpoint": self.url,
            "smtp": {"host": HOST, "port": self.smtp_port},
            "pid": self.pid,
        }
        _replace(self.folder / ADDRESS_FILE, content)

    def withdraw(self) -> None:
        (self.folder / ADDRESS_FILE).unlink(missing_ok=True)


class _Server(uvicorn.Server):
    """Leaves signals to us: uvicorn would raise them again at the end, and a wanted stop should exit with 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    folder: Path,
    *,
    port: int = 0,
    smtp_port: int = 0,
    host: str = HOST,
    url: str | None = None,
    links: Mapping[str, str] | None = None,
    lifeline: int | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, or until the other end of the pipe `lifeline` (a file descriptor) is closed.

    A port of 0 means the one used last time if it is free, else any free one. `url` is where others find it, and so the
    issuer's name, when that is not the address it listens on.

    `links` (title to URL) are listed on the index page. Raises `PortTakenError`.
    """
    http, smtp = _bind(folder, host, port, smtp_port)
    bench = Workbench(folder, url or f"http://{host}:{http.getsockname()[1]}", smtp.getsockname()[1], os.getpid())
    _replace(folder / PORTS_FILE, {"http": http.getsockname()[1], "smtp": bench.smtp_port})

    with closing(bench.spans()) as store, closing(bench.mailbox()) as inbox:
        page = _page(bench, links or {})

        async def index(_: Request) -> HTMLResponse:
            return HTMLResponse(page)

        app = Starlette(
            routes=[Route("/", index), *bench.issuer().routes(), *spans.routes(store), *mailbox.routes(inbox)]
        )
        config = uvicorn.Config(app, lifespan="off", log_level="warning", access_log=False, timeout_graceful_shutdown=2)
        server = _Server(config)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, setattr, server, "should_exit", True)
        if lifeline is not None:
            loop.add_reader(lifeline, _hang_up, lifeline, server)
        mail = await mailbox.serve_smtp(inbox, smtp)
        # Both sockets have been listening since _bind, so whoever reads the file can connect at once.
        bench.announce()
        try:
            await server.serve([http])
        finally:
            bench.withdraw()
            mail.close()


def _hang_up(lifeline: int, server: uvicorn.Server) -> None:
    if not os.read(lifeline, 4096):
        asyncio.get_running_loop().remove_reader(lifeline)
        server.should_exit = True


def _bind(folder: Path, host: str, port: int, smtp_port: int) -> tuple[socket.socket, socket.socket]:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        last = json.loads((folder / PORTS_FILE).read_text())
    except FileNotFoundError:
        last = {"http": 0, "smtp": 0}
    return _listen(host, port, last["http"]), _listen(host, smtp_port, last["smtp"])


def _listen(host: str, asked: int, last: int) -> socket.socket:
    """Listen on the port asked for, else on last time's (so that URLs and tokens stay good), else on any."""
    for candidate in [asked] if asked else [last, 0]:
        try:
            return socket.create_server((host, candidate))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise PortTakenError(f"Port {asked} is taken by another program: stop it, or choose another port (0 for any).")


def _page(bench: Workbench, links: Mapping[str, str]) -> str:
    entries = {
        **links,
        "Inbox: mails and webhooks that arrived": "/inbox",
        "Last trace": "/traces/last",
        "Issuer: discovery": "/.well-known/openid-configuration",
        "Issuer: keys": "/jwks",
    }
    items = "".join(f'<li><a href="{html.escape(url)}">{html.escape(title)}</a></li>' for title, url in entries.items())
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Rapport workbench</title>'
        "<style>body{font:1rem/1.6 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}</style>"
        f"<h1>Rapport workbench</h1><p>For development only.</p><ul>{items}</ul>"
        f"<p>SMTP {HOST}:{bench.smtp_port} · webhooks {bench.url}/hooks/&lt;name&gt; · OTLP {bench.url}/v1/traces</p></html>"
    )


def _replace(target: Path, content: Mapping[str, object]) -> None:
    staged = target.with_name(f".{target.name}.{os.getpid()}")
    staged.write_text(json.dumps(content, indent=2))
    staged.replace(target)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m rapport_stack.workbench", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where keys, spans and messages are kept")
    parser.add_argument("--port", type=int, default=0, help="HTTP port, 0 for last time's or any")
    parser.add_argument("--smtp-port", type=int, default=0, help="SMTP port, 0 for last time's or any")
    parser.add_argument("--host", default=HOST, help="address to listen on")
    parser.add_argument("--url", help="where others find it, if not where it listens; the issuer's name")
    parser.add_argument("--link", action="append", default=[], metavar="TITLE=URL", help="add a link to the index page")
    parser.add_argument(
        "--lifeline", action="store_true", help="stop when standard input (a pipe) closes, as when the parent is killed"
    )
    options = parser.parse_args(arguments)
    links = {title: url for title, _, url in (link.partition("=") for link in options.link)}
    try:
        asyncio.run(
            serve(
                options.folder,
                port=options.port,
                smtp_port=options.smtp_port,
                host=options.host,
                url=options.url,
                links=links,
                lifeline=0 if options.lifeline else None,
            )
        )
    except PortTakenError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
