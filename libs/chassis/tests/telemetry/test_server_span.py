import pytest
from fastapi import APIRouter, FastAPI
from httpx import ASGITransport, AsyncClient
from opentelemetry.trace import SpanKind, StatusCode
from rapport_chassis.telemetry import ServerSpan, create_span, inject
from starlette.responses import PlainTextResponse

TRACE = "0af7651916cd43dd8448eb211c80319c"


def application():
    router = APIRouter(prefix="/stakeholders")

    @router.get("/{id}")
    async def read(id: str):  # noqa: A002
        with create_span("registry.stakeholder"):
            return PlainTextResponse(inject()[0])

    @router.get("/{id}/failure")
    async def fail(id: str):  # noqa: A002
        raise RuntimeError(f"no such person {id}")

    @router.get("/{id}/trouble")
    async def trouble(id: str):  # noqa: A002
        return PlainTextResponse("", status_code=503)

    app = FastAPI()
    app.include_router(router)

    @app.get("/livez")
    async def livez():
        return PlainTextResponse("")

    return ServerSpan(app)


@pytest.fixture
async def http():
    transport = ASGITransport(application(), raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://example.org") as client:
        yield client


async def test_one_server_span_named_after_the_template(traces, http):
    await http.get("/stakeholders/0190-secret?email=person@example.org")
    server = traces.spans["GET /stakeholders/{id}"]
    assert server.kind is SpanKind.SERVER
    assert server.attributes == {
        "http.request.method": "GET",
        "http.route": "/stakeholders/{id}",
        "http.response.status_code": 200,
        "url.scheme": "http",
    }
    assert server.parent is None
    assert "0190-secret" not in server.to_json()
    assert traces.spans["create registry.stakeholder"].parent.span_id == server.context.span_id
    assert len(traces.spans) == 2


async def test_the_caller_s_trace_goes_on_and_the_answer_tells_it(traces, http):
    answer = await http.get(
        "/stakeholders/1", headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "tracestate": "vendor=value"}
    )
    server = traces.spans["GET /stakeholders/{id}"]
    assert f"{server.parent.span_id:016x}" == "b7ad6b7169203331"
    assert server.context.trace_state["vendor"] == "value"
    assert answer.headers["traceresponse"] == f"00-{TRACE}-{server.context.span_id:016x}-01"
    assert answer.text.startswith(f"00-{TRACE}-")


@pytest.mark.parametrize("traceparent", ["", "nonsense", "00-0-0-0", b"\xff\xfe" * 40, "x" * 600])
async def test_a_malformed_traceparent_starts_a_new_trace(traces, http, traceparent):
    answer = await http.get("/stakeholders/1", headers={"traceparent": traceparent})
    assert answer.status_code == 200
    assert traces.spans["GET /stakeholders/{id}"].parent is None


async def test_an_unsampled_request_tells_its_trace_and_keeps_no_span(unsampled, http):
    answer = await http.get("/stakeholders/1")
    assert answer.headers["traceresponse"][-1] in "02"  # not sampled (1); the trace id is random (2)
    assert answer.text[3:35] == answer.headers["traceresponse"][3:35]
    assert unsampled.spans == {}


async def test_a_caller_that_does_not_sample_is_followed(traces, http):
    await http.get("/stakeholders/1", headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-00"})
    assert traces.spans == {}


async def test_an_exception_marks_the_span_without_its_text(traces, http):
    assert (await http.get("/stakeholders/1/failure")).status_code == 500
    server = traces.spans["GET /stakeholders/{id}/failure"]
    assert server.status.status_code is StatusCode.ERROR
    assert server.status.description is None
    assert server.attributes["error.type"] in {"RuntimeError", "500"}
    assert server.events == ()


async def test_an_answer_of_the_500s_marks_the_span(traces, http):
    await http.get("/stakeholders/1/trouble")
    server = traces.spans["GET /stakeholders/{id}/trouble"]
    assert server.status.status_code is StatusCode.ERROR
    assert server.attributes["error.type"] == "503"


async def test_a_path_without_a_route_gives_no_name_away(traces, http):
    await http.get("/nothing/here/person@example.org")
    server = traces.spans["GET"]
    assert server.attributes["http.response.status_code"] == 404
    assert "example.org" not in server.to_json()


async def test_an_unknown_method_is_named_other(traces, http):
    await http.request("BREW", "/stakeholders/1")
    assert traces.spans["HTTP /stakeholders/{id}"].attributes["http.request.method"] == "_OTHER"


async def test_probes_are_not_traced(traces, http):
    answer = await http.get("/livez")
    assert "traceresponse" not in answer.headers
    assert traces.spans == {}
