"""A local OTLP/HTTP receiver that keeps the newest spans, and the story of one trace told from them.

A trace ends where work is batched: a flush, a relay send or a consumer batch serves many requests, so it has a trace of its
own and *links* to the requests. The story of a trace follows these links backwards, batch after batch, to the last effect.
"""

import json
import math
import sqlite3
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from rich.text import Text
from rich.tree import Tree
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUSES = ("unset", "ok", "error")
BODY_CAP = 64 * 1024 * 1024

SCHEMA = """
CREATE TABLE IF NOT EXISTS spans (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    trace_id TEXT NOT NULL, span_id TEXT NOT NULL, parent_id TEXT,
    name TEXT NOT NULL, kind TEXT NOT NULL, service TEXT NOT NULL,
    start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL,
    status TEXT NOT NULL, status_message TEXT NOT NULL, attributes TEXT NOT NULL,
    UNIQUE (trace_id, span_id)
);
CREATE INDEX IF NOT EXISTS children ON spans (trace_id, parent_id, start_ns);
CREATE INDEX IF NOT EXISTS newest ON spans (start_ns);
CREATE TABLE IF NOT EXISTS links (
    span INTEGER NOT NULL, trace_id TEXT NOT NULL, span_id TEXT NOT NULL,
    PRIMARY KEY (span, trace_id, span_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS linked ON links (trace_id, span_id);
"""
SPAN = """
SELECT s.trace_id, s.span_id, s.parent_id, s.name, s.kind, s.service, s.start_ns, s.end_ns,
       s.status, s.status_message, s.attributes,
       (SELECT json_group_array(json_array(l.trace_id, l.span_id)) FROM links l WHERE l.span = s.id) AS links
FROM spans s
"""
ROOTS = """
LEFT JOIN spans p ON p.trace_id = s.trace_id AND p.span_id = s.parent_id
WHERE s.trace_id = ? AND p.id IS NULL
"""
CHILDREN = "WHERE s.trace_id = ? AND s.parent_id = ?"
LINKED = "WHERE s.id IN (SELECT span FROM links WHERE trace_id = ? AND span_id = ?)"


@dataclass(frozen=True, slots=True)
class Span:
    """One finished span; ids in lower-case hex, times in nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: str
    service: str
    start_ns: int
    end_ns: int
    status: str = "unset"
    status_message: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    links: tuple[tuple[str, str], ...] = ()
    """Trace id and span id of every span this one points to."""

    @property
    def key(self) -> tuple[str, str]:
        return self.trace_id, self.span_id

    @property
    def duration_ms(self) -> float:
        return (self.end_ns - self.start_ns) / 1e6


@dataclass(frozen=True, slots=True)
class Story:
    """The spans of a trace and of every batch that carried it on, nearest first; iterate it to get the spans."""

    trace_id: str
    spans: tuple[Span, ...]
    left_out: dict[tuple[str, str], int]
    """How many spans under a span (by its trace and span id) were not followed, because there are too many."""

    def __iter__(self) -> Iterator[Span]:
        return iter(self.spans)

    def __len__(self) -> int:
        return len(self.spans)

    @property
    def start_ns(self) -> int:
        return min((span.start_ns for span in self.spans if span.trace_id == self.trace_id), default=0)


@dataclass(slots=True)
class Node:
    """A span in its place: under its parent, or (`linked`) under the span that it points to."""

    span: Span
    linked: bool
    left_out: int
    children: list["Node"] = field(default_factory=list)


class SpanStore:
    """Spans in SQLite under `folder`; the newest `keep` stay. Several processes may read while one writes."""

    def __init__(self, folder: Path, *, keep: int = 200_000) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._keep = keep
        self._db = sqlite3.connect(folder / "spans.sqlite", timeout=10)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")  # a trace lost with the machine is no loss
        self._db.executescript(SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    def add(self, spans: Iterable[Span]) -> None:
        """Keep `spans`; one that is already here (an exporter's retry) changes nothing."""
        with self._db:
            for span in spans:
                self._insert(span)
            newest = self._db.execute("SELECT max(id) FROM spans").fetchone()[0] or 0
            self._db.execute("DELETE FROM spans WHERE id <= ?", (newest - self._keep,))
            self._db.execute("DELETE FROM links WHERE span <= ?", (newest - self._keep,))

    def last(self, name_like: str | None = None) -> str | None:
        """Trace id of the newest span whose name contains `name_like`; without it, of the newest request.

        Where no request was traced (no span of kind server), the newest span of any kind decides. None when there is none.
        """
        if name_like is not None:
            found = self._newest("WHERE instr(lower(name), lower(?)) > 0", name_like)
        else:
            found = self._newest("WHERE kind = ?", "server") or self._newest("")
        return found

    def story(self, trace_id: str, *, limit: int = 400, fan: int = 20) -> Story:
        """The spans of a trace and, transitively, those whose links point into the story, with what hangs under them.

        At most `limit` spans, and `fan` children and `fan` linked spans under each; the rest is counted in `left_out`.
        An unknown trace is an empty story.
        """
        found: dict[tuple[str, str], Span] = {}
        left_out: dict[tuple[str, str], int] = {}
        waiting: deque[tuple[Span, tuple[str, str] | None]]
        waiting = deque((span, None) for span in self._select(ROOTS, (trace_id,), limit))
        while waiting:
            span, under = waiting.popleft()
            if span.key in found:
                continue
            if len(found) == limit:
                if under:
                    left_out[under] = left_out.get(under, 0) + 1
                continue
            found[span.key] = span
            for condition in (CHILDREN, LINKED):
                next_spans = self._select(condition, span.key, fan)
                waiting.extend((each, span.key) for each in next_spans)
                if len(next_spans) == fan and (more := self._count(condition, span.key) - fan):
                    left_out[span.key] = left_out.get(span.key, 0) + more
        return Story(trace_id, tuple(found.values()), left_out)

    def _insert(self, span: Span) -> None:
        row = self._db.execute(
            "INSERT OR IGNORE INTO spans (trace_id, span_id, parent_id, name, kind, service, start_ns, end_ns,"
            " status, status_message, attributes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                *span.key,
                span.parent_id,
                span.name,
                span.kind,
                span.service,
                span.start_ns,
                span.end_ns,
                span.status,
                span.status_message,
                json.dumps(span.attributes),
            ),
        ).fetchone()
        if row:
            links = [(row[0], *link) for link in span.links]
            self._db.executemany("INSERT OR IGNORE INTO links VALUES (?, ?, ?)", links)

    def _newest(self, condition: str, *values: str) -> str | None:
        query = f"SELECT trace_id FROM spans {condition} ORDER BY start_ns DESC LIMIT 1"  # noqa: S608 - our own text
        row = self._db.execute(query, values).fetchone()
        return row[0] if row else None

    def _select(self, condition: str, values: tuple[str, ...], limit: int) -> list[Span]:
        rows = self._db.execute(f"{SPAN} {condition} ORDER BY s.start_ns LIMIT ?", (*values, limit))
        return [_span(dict(row)) for row in rows]

    def _count(self, condition: str, values: tuple[str, ...]) -> int:
        count: int = self._db.execute(f"SELECT count(*) FROM spans s {condition}", values).fetchone()[0]  # noqa: S608
        return count


def tree(story: Story) -> list[Node]:
    """The story as trees. A span hangs under its parent, else under what it links to, else it is a root."""
    nodes: dict[tuple[str, str], Node] = {}
    roots: list[Node] = []
    for span in story:
        parent = nodes.get((span.trace_id, span.parent_id or ""))
        # Only a span that was found earlier can be above this one, so odd links never make a circle.
        target = parent or next((nodes[link] for link in span.links if link in nodes), None)
        node = Node(span, target is not None and parent is None, story.left_out.get(span.key, 0))
        nodes[span.key] = node
        (target.children if target else roots).append(node)
    for node in nodes.values():
        node.children.sort(key=lambda child: child.span.start_ns)
    return roots


def render(story: Story) -> Tree:
    """The story for a terminal: service, name, milliseconds from its start, duration in milliseconds."""
    top = Tree(Text(f"trace {story.trace_id}", style="bold"))

    def hang(under: Tree, node: Node) -> None:
        branch = under.add(_label(node, story.start_ns))
        for child in node.children:
            hang(branch, child)
        if node.left_out:
            branch.add(Text(f"… {node.left_out:,} more spans left out", style="dim italic"))

    for root in tree(story):
        hang(top, root)
    return top


def _label(node: Node, origin_ns: int) -> Text:
    span = node.span
    label = Text.assemble(
        (f"{span.service} ", "cyan"),
        (span.name, "bold red" if span.status == "error" else "bold"),
        (f"  +{(span.start_ns - origin_ns) / 1e6:.1f} ms", "dim"),
        f"  {span.duration_ms:.1f} ms",
    )
    if node.linked:
        label.append("  ↪ linked", "yellow")
    if len(span.links) > 1:
        label.append(f" (with {len(span.links) - 1:,} more)", "dim")
    if span.status_message:
        label.append(f"  {span.status_message}", "red")
    return label


def decode(body: bytes) -> list[Span]:
    """The spans of an OTLP ExportTraceServiceRequest in protobuf; raises ValueError when it is none."""
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise ValueError("the body is not an ExportTraceServiceRequest") from error
    return [
        Span(
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex() or None,
            name=span.name,
            kind=KINDS[span.kind] if 0 <= span.kind < len(KINDS) else "unspecified",
            service=str(_attributes(group.resource.attributes).get("service.name", "unknown")),
            start_ns=span.start_time_unix_nano,
            end_ns=span.end_time_unix_nano,
            status=STATUSES[span.status.code] if 0 <= span.status.code < len(STATUSES) else "unset",
            status_message=span.status.message,
            attributes=_attributes(span.attributes),
            links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        )
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def routes(store: SpanStore) -> list[Route]:
    """OTLP/HTTP receiver (`POST /v1/traces`) and the read side as JSON (`/traces/last`, `/traces/{id}`)."""

    async def receive(request: Request) -> Response:
        if request.headers.get("content-type") != "application/x-protobuf":
            return PlainTextResponse("this receiver takes application/x-protobuf", 415)
        try:
            store.add(decode(_unpacked(await request.body(), request.headers.get("content-encoding", "identity"))))
        except (ValueError, OverflowError) as error:  # OverflowError: a time that is no time, beyond 63 bits
            return PlainTextResponse(str(error), 400)
        return Response(ExportTraceServiceResponse().SerializeToString(), media_type="application/x-protobuf")

    async def last(request: Request) -> JSONResponse:
        return _answer(store, store.last(request.query_params.get("name")))

    async def one(request: Request) -> JSONResponse:
        return _answer(store, request.path_params["trace_id"])

    return [
        Route("/v1/traces", receive, methods=["POST"]),
        Route("/traces/last", last),
        Route("/traces/{trace_id}", one),
    ]


def _answer(store: SpanStore, trace_id: str | None) -> JSONResponse:
    story = store.story(trace_id) if trace_id else None
    if not story:
        return JSONResponse({"title": "No such trace is kept here."}, 404, media_type="application/problem+json")
    spans = [asdict(span) | {"left_out": story.left_out.get(span.key, 0)} for span in story]
    return JSONResponse({"trace_id": story.trace_id, "start_ns": story.start_ns, "spans": spans})


def _unpacked(body: bytes, encoding: str) -> bytes:
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise ValueError(f"content-encoding {encoding} is not gzip or identity")
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        unpacked = unpacker.decompress(body, BODY_CAP)
    except zlib.error as error:
        raise ValueError("the body is not gzip") from error
    if not unpacker.eof:
        raise ValueError(f"the body is cut short or larger than {BODY_CAP:,} bytes")
    return unpacked


def _span(row: dict[str, Any]) -> Span:
    attributes, links = json.loads(row.pop("attributes")), json.loads(row.pop("links"))
    return Span(**row, attributes=attributes, links=tuple((trace_id, span_id) for trace_id, span_id in links))


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case "double_value" if not math.isfinite(value.double_value):
            return str(value.double_value)  # JSON has no word for it
        case "bytes_value":
            return value.bytes_value.hex()
        case kind:
            return getattr(value, kind)
