"""Traces: one story from a request through the journal, the relay and the consumers' batches.

Names and attributes follow the OpenTelemetry semantic conventions for HTTP and messaging. No span carries an id of a
person, a document or a message key, no URL with ids in it, and no text of an exception. Telemetry never blocks and
never fails what it watches: what cannot be delivered in time is dropped, and counted.
"""

from __future__ import annotations

import random
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from random import getrandbits
from typing import TYPE_CHECKING

from opentelemetry.context import Context, attach, create_key, detach, set_value
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.semconv._incubating.attributes import messaging_attributes as messaging
from opentelemetry.semconv._incubating.attributes import service_attributes as service
from opentelemetry.semconv.attributes import db_attributes as database_attributes
from opentelemetry.semconv.attributes import error_attributes, http_attributes, url_attributes
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    NoOpTracer,
    SpanContext,
    SpanKind,
    StatusCode,
    get_current_span,
    set_span_in_context,
    use_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import Counter

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Span, Tracer, TraceState
    from opentelemetry.util.types import Attributes
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

DROPPED = Counter("rapport_spans_dropped", "Spans that never reached the collector", ["reason"])

_MAX_LINKS = 128
_QUEUE = 4096
_BATCH = 512
_EXPORT_SECONDS = 5.0
_TRACEPARENT_LENGTH = 55  # W3C Trace Context, version 00
_SAMPLED_AT = 54  # the last hexadecimal digit of the flags, whose lowest bit is "sampled"
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})
_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
_SERVER_ERROR = 500

_KEPT = create_key("rapport-kept")

_propagator = TraceContextTextMapPropagator()


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The traces of a process. `shutdown` sends what is still queued; it may take some seconds, so call it in a thread."""

    provider: TracerProvider
    tracer: Tracer
    sampling: float

    def shutdown(self) -> None:
        global _current  # noqa: PLW0603 - one per process, as the tracer is
        if _current is self:
            _current = None
        self.provider.shutdown()


_current: Telemetry | None = None
_silent = NoOpTracer()


def configure(
    service_name: str,
    *,
    endpoint: str | None,
    sampling: float,
    instance_id: str,
    exporter: SpanExporter | None = None,
) -> Telemetry:
    """Trace this process from now on.

    `endpoint` is the base URL of an OTLP/HTTP collector ("http://collector:4318"), or None to propagate trace ids without
    keeping spans; `sampling` is the share of new traces kept, from 0 to 1: a caller's or a message's decision is followed.
    `exporter` takes the place of the collector's.
    """
    global _current  # noqa: PLW0603 - one per process, as the tracer is
    provider = TracerProvider(
        sampler=ParentBased(root=_Linked(TraceIdRatioBased(sampling))),
        resource=Resource(
            {
                service.SERVICE_NAMESPACE: "rapport",
                service.SERVICE_NAME: service_name,
                service.SERVICE_INSTANCE_ID: instance_id,
            }
        ),
        span_limits=SpanLimits(max_links=_MAX_LINKS, max_attribute_length=256),
        shutdown_on_exit=False,
    )
    if exporter is None and endpoint is not None:
        traces = endpoint if endpoint.endswith("/v1/traces") else endpoint.rstrip("/") + "/v1/traces"
        exporter = OTLPSpanExporter(traces, timeout=_EXPORT_SECONDS, compression=Compression.Gzip)
    if exporter is not None:
        provider.add_span_processor(_Bounded(exporter))
    _current = Telemetry(provider, provider.get_tracer("rapport_chassis", version("rapport-chassis")), sampling)
    return _current


def tracer() -> Tracer:
    """The tracer of this process; a silent one before `configure`."""
    return _current.tracer if _current is not None else _silent


def inject() -> tuple[str | None, str | None]:
    """The `traceparent` and `tracestate` (W3C) of the current span, sampled or not; None where there is none."""
    context = get_current_span().get_span_context()
    if not context.is_valid:
        return None, None
    return _traceparent(context), context.trace_state.to_header() or None


def context_of(traceparent: str | None, tracestate: str | None = None) -> SpanContext | None:
    """The sampled span that a message tells of; None for an unsampled, missing or malformed one. Never raises."""
    return _remote(traceparent, tracestate) if traceparent is not None and is_sampled(traceparent) else None


def is_sampled(traceparent: str | None) -> bool:
    """Whether a `traceparent` says that its span is kept."""
    return (
        traceparent is not None and len(traceparent) >= _TRACEPARENT_LENGTH and traceparent[_SAMPLED_AT] in "13579bdf"
    )


def links(contexts: Iterable[SpanContext], cap: int = _MAX_LINKS) -> list[Link]:
    """A link to each distinct span, at most `cap`."""
    distinct: dict[tuple[int, int], SpanContext] = {}
    for context in contexts:
        distinct.setdefault((context.trace_id, context.span_id), context)
        if len(distinct) == cap:
            break
    return [Link(context) for context in distinct.values()]


@contextmanager
def span(
    name: str,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    context: Context | None = None,
    to: Sequence[Link] = (),
    attributes: Attributes = None,
) -> Iterator[Span]:
    """A span that is current inside; an exception marks it by its class only, for its text may quote a person."""
    started = tracer().start_span(name, context, kind, attributes, to)
    with use_span(started, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield started
        except Exception as error:
            _mark_failed(started, type(error).__qualname__)
            raise


@contextmanager
def create_span(topic: str) -> Iterator[Span]:
    """The making of one event; its context travels in the journal with the event."""
    with span(
        f"create {topic}",
        kind=SpanKind.PRODUCER,
        attributes=_messaging("create", messaging.MessagingOperationTypeValues.CREATE, topic),
    ) as started:
        yield started


@contextmanager
def send_span(topic: str, partition: int, contexts: Collection[SpanContext], count: int) -> Iterator[Span]:
    """The relay's sending of `count` events of a partition; `contexts` are the spans that created them."""
    with _batch("send", messaging.MessagingOperationTypeValues.SEND, topic, partition, contexts, count) as started:
        yield started


@contextmanager
def process_span(
    topic: str, partition: int, group: str, contexts: Collection[SpanContext], count: int
) -> Iterator[Span]:
    """The applying of `count` events of a partition in one transaction."""
    with _batch(
        "process", messaging.MessagingOperationTypeValues.PROCESS, topic, partition, contexts, count, group
    ) as started:
        yield started


@contextmanager
def flush_span(database: str, contexts: Collection[SpanContext], count: int) -> Iterator[Span]:
    """One transaction that `count` write-sets share; `contexts` are the spans that wait for it."""
    sampled = [context for context in contexts if context.trace_flags.sampled]
    attributes: dict[str, str | int] = {
        database_attributes.DB_SYSTEM_NAME: "mongodb",
        database_attributes.DB_NAMESPACE: database,
        database_attributes.DB_OPERATION_NAME: "commit",
        database_attributes.DB_OPERATION_BATCH_SIZE: count,
    }
    parent = _parent(sampled)
    with span(
        f"commit {database}", kind=SpanKind.CLIENT, context=parent, to=links(sampled), attributes=attributes
    ) as s:
        yield s


class ServerSpan:
    """Pure ASGI: one server span per HTTP request, named "METHOD route-template".

    W3C `traceparent` and `tracestate` are taken from the request, and every answer tells its trace in `traceresponse`
    (W3C Trace Context Level 2: the same form, `00-trace-span-flags`), sampled or not, so that whoever reports a problem
    can quote it. An unsampled request costs the decision and nothing else. Probes are not traced.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _PROBES:
            await self.app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "HTTP"
        started = _server_span(method, scope["headers"])
        token = attach(set_span_in_context(started))
        try:
            await self.app(scope, receive, _telling(started, send))
        except Exception as error:
            _mark_failed(started, type(error).__qualname__)
            raise
        finally:
            detach(token)
            if started.is_recording():
                _describe(started, method, scope)
                started.end()


def _server_span(method: str, headers: Iterable[tuple[bytes, bytes]]) -> Span:
    """Begun in the caller's trace. Whether a new trace is kept is drawn first: of one that is not, only ids are made."""
    caller = _caller(headers)
    if caller is None and _current is not None:
        if random.random() >= _current.sampling:  # noqa: S311 - no secret, as the SDK's own
            return NonRecordingSpan(SpanContext(getrandbits(128), getrandbits(64), is_remote=False))
        caller = set_value(_KEPT, value=True, context=Context())
    return tracer().start_span(method, caller or Context(), SpanKind.SERVER)


def _describe(started: Span, method: str, scope: Scope) -> None:
    started.set_attribute(http_attributes.HTTP_REQUEST_METHOD, method if method in _METHODS else "_OTHER")
    started.set_attribute(url_attributes.URL_SCHEME, scope["scheme"])
    route = getattr(scope.get("route"), "path", None)  # known once the router has run
    if isinstance(route, str):
        started.set_attribute(http_attributes.HTTP_ROUTE, route)
        started.update_name(f"{method} {route}")


def _telling(started: Span, send: Send) -> Send:
    context = started.get_span_context()
    if not context.is_valid:
        return send
    traceresponse = (b"traceresponse", _traceparent(context).encode())

    async def tell(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), traceresponse]}
            if started.is_recording():
                status = message["status"]
                started.set_attribute(http_attributes.HTTP_RESPONSE_STATUS_CODE, status)
                if status >= _SERVER_ERROR:
                    _mark_failed(started, str(status))
        await send(message)

    return tell


def _caller(headers: Iterable[tuple[bytes, bytes]]) -> Context | None:
    """The context of the caller's span, where the request names one."""
    traceparent = tracestate = None
    for name, value in headers:
        if name == b"traceparent":
            traceparent = value.decode("latin-1")
        elif name == b"tracestate":
            tracestate = value.decode("latin-1")
    context = _remote(traceparent, tracestate) if traceparent is not None else None
    return None if context is None else set_span_in_context(NonRecordingSpan(context), Context())


def _remote(traceparent: str, tracestate: str | None) -> SpanContext | None:
    carrier = {"traceparent": traceparent}
    if tracestate is not None:
        carrier["tracestate"] = tracestate
    context = get_current_span(_propagator.extract(carrier, Context())).get_span_context()
    return context if context.is_valid else None


def _traceparent(context: SpanContext) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _mark_failed(started: Span, error_type: str) -> None:
    started.set_attribute(error_attributes.ERROR_TYPE, error_type)
    started.set_status(StatusCode.ERROR)


def _messaging(name: str, operation: messaging.MessagingOperationTypeValues, topic: str) -> dict[str, str | int]:
    return {
        messaging.MESSAGING_SYSTEM: messaging.MessagingSystemValues.KAFKA.value,
        messaging.MESSAGING_OPERATION_NAME: name,
        messaging.MESSAGING_OPERATION_TYPE: operation.value,
        messaging.MESSAGING_DESTINATION_NAME: topic,
    }


@contextmanager
def _batch(
    name: str,
    operation: messaging.MessagingOperationTypeValues,
    topic: str,
    partition: int,
    contexts: Collection[SpanContext],
    count: int,
    group: str | None = None,
) -> Iterator[Span]:
    """A span over messages, linked to the span that created each.

    When all of them stem from one trace it is also a child in that trace, so that a quiet system shows one unbroken
    tree; a batch that mixes traces belongs to none of them and starts its own.
    """
    attributes = _messaging(name, operation, topic)
    attributes[messaging.MESSAGING_DESTINATION_PARTITION_ID] = str(partition)
    attributes[messaging.MESSAGING_BATCH_MESSAGE_COUNT] = count
    if group is not None:
        attributes[messaging.MESSAGING_CONSUMER_GROUP_NAME] = group
    parent = _parent(contexts)
    kind = SpanKind.CONSUMER if operation is messaging.MessagingOperationTypeValues.PROCESS else SpanKind.CLIENT
    with span(f"{name} {topic}", kind=kind, context=parent, to=links(contexts), attributes=attributes) as started:
        yield started


def _parent(contexts: Collection[SpanContext]) -> Context:
    if len({context.trace_id for context in contexts}) != 1:
        return Context()
    return set_span_in_context(NonRecordingSpan(next(iter(contexts))), Context())


class _Linked(Sampler):
    """Keeps a new trace that links to a kept one, or was drawn already; decides the others by `otherwise`.

    Without it a batch that mixes traces would be sampled anew, and a kept trace would end at the broker.
    """

    def __init__(self, otherwise: Sampler) -> None:
        self._otherwise = otherwise

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        drawn = parent_context is not None and parent_context.get(_KEPT)
        if drawn or (links and any(link.context.trace_flags.sampled for link in links)):
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, trace_state)
        return self._otherwise.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        return f"Linked{{{self._otherwise.get_description()}}}"


class _Bounded(SpanProcessor):
    """The SDK's batching with every drop counted: its own queue drops the oldest without telling."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = _Counted(exporter)
        self._batches = BatchSpanProcessor(
            self._exporter,
            max_queue_size=_QUEUE,
            max_export_batch_size=_BATCH,
            schedule_delay_millis=1000,
            export_timeout_millis=_EXPORT_SECONDS * 1000,
        )

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is None or not span.context.trace_flags.sampled:
            return
        if self._exporter.admit():
            self._batches.on_end(span)
        else:
            DROPPED.labels("queue").inc()

    def shutdown(self) -> None:
        self._exporter.closing = True
        self._batches.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._batches.force_flush(timeout_millis)


class _Counted(SpanExporter):
    """Knows how many spans wait, and counts those of a failed export."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._waiting = 0
        self._lock = threading.Lock()
        self.closing = False
        self._failed = False

    def admit(self) -> bool:
        with self._lock:
            if self.closing or self._waiting >= _QUEUE:
                return False
            self._waiting += 1
            return True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._lock:
            self._waiting -= len(spans)
        # A process that ends does not wait for a dead collector once per batch.
        result = SpanExportResult.FAILURE if self.closing and self._failed else self._try(spans)
        self._failed = result is not SpanExportResult.SUCCESS
        if self._failed:
            DROPPED.labels("export").inc(len(spans))
        return result

    def _try(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            return self._exporter.export(spans)
        except Exception:  # noqa: BLE001 - whatever an exporter raises, the spans are lost and counted
            return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)
