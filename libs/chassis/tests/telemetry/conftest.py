import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from rapport_chassis import telemetry


class Traces:
    """What this process has told its collector."""

    def __init__(self, sampling):
        self.exporter = InMemorySpanExporter()
        self.telemetry = telemetry.configure(
            "example", endpoint=None, sampling=sampling, instance_id="one", exporter=self.exporter
        )

    @property
    def spans(self):
        self.telemetry.provider.force_flush()
        return {span.name: span for span in self.exporter.get_finished_spans()}


@pytest.fixture
def traces():
    traces = Traces(sampling=1)
    yield traces
    traces.telemetry.shutdown()


@pytest.fixture
def unsampled():
    traces = Traces(sampling=0)
    yield traces
    traces.telemetry.shutdown()
