import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext, SpanKind, StatusCode, TraceFlags
from rapport_chassis import telemetry
from rapport_chassis.telemetry import (
    context_of,
    create_span,
    flush_span,
    inject,
    links,
    process_span,
    send_span,
    span,
)

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def context(trace, number=1):
    return SpanContext(trace, number, is_remote=True, trace_flags=TraceFlags(1))


def spans_of(contexts):
    return {(link.trace_id, link.span_id) for link in contexts}


def test_nothing_is_traced_before_it_is_configured():
    with create_span("a.topic") as quiet:
        assert not quiet.is_recording()
        assert inject() == (None, None)


def test_the_resource_names_the_service_and_its_instance(traces):
    with span("work"):
        pass
    attributes = traces.spans["work"].resource.attributes
    assert attributes["service.name"] == "example"
    assert attributes["service.instance.id"] == "one"
    assert attributes["service.namespace"] == "rapport"


def test_what_is_injected_is_found_again(traces):
    with create_span("registry.stakeholder") as created:
        traceparent, tracestate = inject()
    assert tracestate is None
    found = context_of(traceparent, tracestate)
    assert (found.trace_id, found.span_id) == (created.get_span_context().trace_id, created.get_span_context().span_id)
    assert found.is_remote


def test_an_unsampled_context_travels_but_is_not_parsed(unsampled):
    with create_span("registry.stakeholder"):
        traceparent, _ = inject()
    assert traceparent[-1] in "02"  # not sampled (1); the trace id is random (2)
    assert context_of(traceparent) is None
    assert unsampled.spans == {}


def test_tracestate_is_kept():
    assert context_of(PARENT, "vendor=value").trace_state["vendor"] == "value"
    assert context_of(PARENT, "this is no tracestate").trace_id == int(TRACE, 16)


@pytest.mark.parametrize(
    "malformed",
    [
        None,
        "",
        "00",
        PARENT[:-1],
        PARENT.upper(),
        f"ff-{TRACE}-b7ad6b7169203331-01",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE}-{'0' * 16}-01",
        PARENT + "-more",
        "x" * 5000,
    ],
)
def test_a_malformed_traceparent_is_no_context(malformed):
    assert context_of(malformed) is None


@given(st.text(), st.none() | st.text())
def test_context_of_never_raises(traceparent, tracestate):
    context_of(traceparent, tracestate)
    context_of(PARENT, tracestate)


def test_links_are_distinct_and_capped():
    many = [context(trace, number) for trace in range(1, 40) for number in range(1, 40)]
    assert len(links(many)) == 128
    assert len(links([context(1), context(1), context(2)])) == 2
    assert len(links(many, cap=3)) == 3


def test_create_span_follows_the_messaging_conventions(traces):
    with create_span("registry.stakeholder"):
        pass
    created = traces.spans["create registry.stakeholder"]
    assert created.kind is SpanKind.PRODUCER
    assert created.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": "create",
        "messaging.operation.type": "create",
        "messaging.destination.name": "registry.stakeholder",
    }


@pytest.mark.parametrize(
    ("helper", "group", "name", "operation", "kind"),
    [
        (send_span, (), "send", "send", SpanKind.CLIENT),
        (process_span, ("measures",), "process", "process", SpanKind.CONSUMER),
    ],
)
def test_batch_spans_follow_the_messaging_conventions(traces, helper, group, name, operation, kind):
    with helper("feedback.response", 4, *group, [context(7)], 12):
        pass
    batch = traces.spans[f"{name} feedback.response"]
    assert batch.kind is kind
    assert batch.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": name,
        "messaging.operation.type": operation,
        "messaging.destination.name": "feedback.response",
        "messaging.destination.partition.id": "4",
        "messaging.batch.message_count": 12,
        **({"messaging.consumer.group.name": "measures"} if group else {}),
    }


def test_a_batch_of_one_trace_is_its_child_and_linked(traces):
    contexts = [context(7, 1), context(7, 2), context(7, 1)]
    with process_span("t", 0, "g", contexts, 3):
        pass
    batch = traces.spans["process t"]
    assert (batch.parent.trace_id, batch.parent.span_id) == (7, 1)
    assert batch.context.trace_id == 7
    assert spans_of(link.context for link in batch.links) == {(7, 1), (7, 2)}


def test_a_batch_of_several_traces_starts_its_own_and_is_linked(traces):
    with span("around"), process_span("t", 0, "g", [context(7), context(8)], 2):
        pass
    batch = traces.spans["process t"]
    assert batch.parent is None
    assert batch.context.trace_id not in {7, 8, traces.spans["around"].context.trace_id}
    assert spans_of(link.context for link in batch.links) == {(7, 1), (8, 1)}


def test_a_batch_that_nobody_traced_is_a_trace_of_its_own(traces):
    with process_span("t", 0, "g", [], 5):
        pass
    assert traces.spans["process t"].parent is None


def test_kept_traces_do_not_end_at_the_broker_whatever_the_sampling(unsampled):
    with process_span("one", 0, "g", [context(7)], 1):
        pass
    with process_span("several", 0, "g", [context(7), context(8)], 2):
        pass
    with process_span("none", 0, "g", [], 2):
        pass
    assert set(unsampled.spans) == {"process one", "process several"}


def test_an_exception_marks_its_span_by_class_and_not_by_its_text(traces):
    with pytest.raises(ValueError, match="Example Person"), span("work"):
        raise ValueError("Example Person, person@example.org")
    failed = traces.spans["work"]
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.attributes["error.type"] == "ValueError"
    assert "Example Person" not in failed.to_json()
    assert failed.events == ()


def dropped(reason):
    return telemetry.DROPPED.labels(reason)._value.get()


class Stuck(SpanExporter):
    """A collector that takes a connection and does not answer until it is let go."""

    def __init__(self):
        self.entered, self.go, self.received = threading.Event(), threading.Event(), 0

    def export(self, spans):
        self.entered.set()
        self.go.wait(30)
        self.received += len(spans)
        return SpanExportResult.SUCCESS


def test_a_stuck_collector_blocks_nobody_and_every_drop_is_counted():
    stuck, before = Stuck(), dropped("queue")
    tracing = telemetry.configure("example", endpoint=None, sampling=1, instance_id="one", exporter=stuck)
    count = 3 * telemetry._QUEUE
    started = time.monotonic()
    for _ in range(count):
        with span("work"):
            pass
    assert time.monotonic() - started < 10
    assert stuck.entered.wait(10)
    stuck.go.set()
    tracing.shutdown()
    lost = dropped("queue") - before
    assert lost > 0
    assert stuck.received + lost == count


class Failing(SpanExporter):
    attempts = 0

    def export(self, spans):
        self.attempts += 1
        raise ConnectionError("collector.example.org refused")


def test_failed_exports_are_counted_and_a_dead_collector_is_asked_once_at_the_end():
    failing, before = Failing(), dropped("export")
    tracing = telemetry.configure("example", endpoint=None, sampling=1, instance_id="one", exporter=failing)
    for _ in range(10):
        with span("work"):
            pass
    tracing.provider.force_flush()
    assert dropped("export") - before == 10
    asked = failing.attempts
    for _ in range(100):
        with span("work"):
            pass
    tracing.shutdown()
    assert failing.attempts <= asked + 1
    assert dropped("export") - before == 110


def test_shutting_down_silences_the_process(traces):
    traces.telemetry.shutdown()
    with span("late") as late:
        assert not late.is_recording()


def test_a_flush_belongs_to_the_one_trace_that_waits_for_it(traces):
    with flush_span("registry", [context(7), context(7, 2), SpanContext(8, 1, is_remote=True)], 3):
        pass
    flush = traces.spans["commit registry"]
    assert flush.parent.trace_id == 7
    assert spans_of(link.context for link in flush.links) == {(7, 1), (7, 2)}
    assert flush.attributes["db.operation.batch.size"] == 3
