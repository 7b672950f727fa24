import gzip
import io
import itertools

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, set_span_in_context
from rapport_stack.spans import Span, SpanStore, render, routes, tree
from rich.console import Console
from starlette.applications import Starlette

SECOND = 1_000_000_000


@pytest.fixture
def store(tmp_path):
    with SpanStore(tmp_path / "spans") as opened:
        yield opened


@pytest.fixture
async def http(store):
    transport = httpx.ASGITransport(Starlette(routes=routes(store)))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:1") as client:
        yield client


numbers = itertools.count(1)


def span(trace, name, *, parent=None, links=(), start=0, kind="internal"):
    return Span(
        trace_id=trace,
        span_id=f"{next(numbers):016x}",
        parent_id=parent.span_id if parent else None,
        name=name,
        kind=kind,
        service="example",
        start_ns=SECOND + start * 1_000_000,
        end_ns=SECOND + (start + 5) * 1_000_000,
        links=tuple(link.key for link in links),
    )


def drawn(story):
    console = Console(file=io.StringIO(), width=160)
    console.print(render(story))
    return console.file.getvalue()


def provider(service, url, compression=Compression.NoCompression):
    made = TracerProvider(resource=Resource.create({"service.name": service}))
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{url}/v1/traces", compression=compression)))
    return made


def test_spans_of_the_real_exporter_become_one_story(workbench):
    api = provider("feedback", workbench.url)
    worker = provider("measures", workbench.url, Compression.Gzip)
    tracer, consumer = api.get_tracer("test"), worker.get_tracer("test")

    request = tracer.start_span("POST /waves/{id}/responses", kind=SpanKind.SERVER)
    other = tracer.start_span("GET /other")
    child = tracer.start_span(
        "submit_response", set_span_in_context(request), attributes={"answers": ["a", "b"], "n": 2}
    )
    child.set_status(Status(StatusCode.ERROR, "refused"))
    batch = consumer.start_span(
        "process feedback.response",
        kind=SpanKind.CONSUMER,
        links=[Link(each.get_span_context()) for each in (other, child)],
    )
    changed = consumer.start_span("fold", set_span_in_context(batch))
    notified = consumer.start_span("send", links=[Link(changed.get_span_context())])
    for each in (notified, changed, batch, child, request, other):
        each.end()
    api.shutdown()
    worker.shutdown()

    with workbench.spans() as store:
        trace_id = store.last()
        assert trace_id == f"{request.get_span_context().trace_id:032x}"
        assert store.last("SUBMIT_") == trace_id
        assert store.last("no such span") is None
        story = store.story(trace_id)

    (root,) = tree(story)
    assert (root.span.name, root.span.service, root.span.kind) == ("POST /waves/{id}/responses", "feedback", "server")
    (submit,) = root.children
    assert submit.span.attributes == {"answers": ["a", "b"], "n": 2}
    assert (submit.span.status, submit.span.status_message) == ("error", "refused")
    (process,) = submit.children
    assert process.linked
    assert (process.span.name, process.span.service) == ("process feedback.response", "measures")
    (fold,) = process.children
    assert not fold.linked
    assert [(node.span.name, node.linked) for node in fold.children] == [("send", True)]

    text = drawn(story)
    assert "↪ linked (with 1 more)" in text
    assert "GET /other" not in text

    last = httpx.get(f"{workbench.url}/traces/last").raise_for_status().json()
    assert last["trace_id"] == trace_id
    assert {each["name"] for each in last["spans"]} == {each.name for each in story}


def test_offsets_and_durations_are_milliseconds_from_the_start(store):
    request = span("a" * 32, "POST /", start=10)
    batch = span("b" * 32, "flush", links=[request], start=12)
    store.add([batch, request])
    lines = drawn(store.story("a" * 32)).splitlines()
    assert "POST /  +0.0 ms  5.0 ms" in lines[1]
    assert "flush  +2.0 ms  5.0 ms  ↪ linked" in lines[2]


def test_a_huge_batch_does_not_blow_up_the_story(store):
    request = span("a" * 32, "POST /")
    batch = span("b" * 32, "flush", links=[request])
    store.add([request, batch, *(span("b" * 32, f"write {n}", parent=batch, start=n) for n in range(1000))])

    story = store.story("a" * 32, fan=20)
    assert len(story) == 22
    assert story.left_out == {batch.key: 980}
    assert "… 980 more spans left out" in drawn(story)

    story = store.story("a" * 32, fan=20, limit=10)
    assert len(story) == 10
    assert story.left_out == {batch.key: 992}


def test_links_in_a_circle_end(store):
    first, second = span("a" * 32, "first"), span("b" * 32, "second")
    first = Span(**{name: getattr(first, name) for name in Span.__slots__} | {"links": (second.key,)})
    second = Span(**{name: getattr(second, name) for name in Span.__slots__} | {"links": (first.key,)})
    store.add([first, second])
    (root,) = tree(store.story("a" * 32))
    assert [node.span.name for node in root.children] == ["second"]


def test_a_parent_elsewhere_makes_a_root(store):
    store.add([span("a" * 32, "POST /", parent=span("a" * 32, "sent by the client"))])
    assert [node.span.name for node in tree(store.story("a" * 32))] == ["POST /"]


def test_only_the_newest_are_kept(tmp_path):
    request = span("a" * 32, "old")
    with SpanStore(tmp_path, keep=10) as store:
        store.add([request, span("c" * 32, "old batch", links=[request])])
        store.add(span("b" * 32, f"new {n}") for n in range(10))
        assert not store.story("a" * 32)
        assert len(store.story("b" * 32)) == 10
        assert store._db.execute("SELECT count(*) FROM links").fetchone()[0] == 0


def test_a_retried_export_changes_nothing(store):
    request = span("a" * 32, "POST /")
    store.add([request, request])
    store.add([request])
    assert store.story("a" * 32).spans == (request,)


def test_without_a_request_the_newest_span_is_last(store):
    assert store.last() is None
    store.add([span("a" * 32, "tick", start=1), span("b" * 32, "tock", start=2)])
    assert store.last() == "b" * 32
    store.add([span("c" * 32, "GET /", kind="server")])
    assert store.last() == "c" * 32


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xff\xff", {"content-type": "application/x-protobuf"}, 400),
        (b"plain", {"content-type": "application/x-protobuf", "content-encoding": "gzip"}, 400),
        (gzip.compress(b"")[:-4], {"content-type": "application/x-protobuf", "content-encoding": "gzip"}, 400),
        (b"", {"content-type": "application/x-protobuf", "content-encoding": "br"}, 400),
        (b"{}", {"content-type": "application/json"}, 415),
        (b"", {"content-type": "application/x-protobuf"}, 200),
    ],
)
async def test_the_receiver_refuses_what_is_not_otlp(http, body, headers, status):
    assert (await http.post("/v1/traces", content=body, headers=headers)).status_code == status


async def test_odd_but_valid_spans_are_kept(http):
    odd = OtlpSpan(trace_id=b"a" * 16, span_id=b"b" * 8, name="odd", kind=99, start_time_unix_nano=1)
    odd.attributes.add(key="ratio").value.double_value = float("nan")
    odd.attributes.add(key="nothing")
    request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[odd])])])
    headers = {"content-type": "application/x-protobuf"}
    assert (await http.post("/v1/traces", content=request.SerializeToString(), headers=headers)).status_code == 200
    (kept,) = (await http.get("/traces/last")).json()["spans"]
    assert (kept["kind"], kept["service"]) == ("unspecified", "unknown")
    assert kept["attributes"] == {"ratio": "nan", "nothing": None}

    odd.start_time_unix_nano, odd.span_id = 2**64 - 1, b"c" * 8
    request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[odd])])])
    assert (await http.post("/v1/traces", content=request.SerializeToString(), headers=headers)).status_code == 400


async def test_an_unknown_trace_is_404(http):
    assert (await http.get("/traces/last")).status_code == 404
    assert (await http.get("/traces/" + "0" * 32)).status_code == 404
