"""One trace tells what a request set off, over three services: flush, relay, consumers, the figure, the message."""

from rapport_stack.mailbox import Received
from rapport_stack.spans import Span, Story

from tests.integration.acts import answer, counted, import_responses, open_wave, register, submit, subscribe
from tests.integration.rapport import Rapport, new_key, until

TRACE = "4bf92f3577b34da6a3ce929d0e0e{:04x}"
VERDICTS = "measures.measure.verdict-changed"
SHOWN_FROM = 30

STEPS = (
    ("feedback", "server", "POST /waves/{id}/responses"),
    ("feedback", "producer", "create feedback.response"),
    ("feedback", "client", "commit feedback"),
    ("feedback", "client", "send feedback.response"),
    ("measures", "consumer", "process feedback.response"),
    ("measures", "producer", "create measures.measure"),
    ("measures", "client", "commit measures"),
    ("measures", "client", "send measures.measure"),
    ("notifications", "consumer", "process measures.measure"),
    ("notifications", "client", "send email"),
    ("notifications", "producer", "create notifications.message"),
)
"""(service, kind, name), in the order they begin."""


async def test_from_the_request_to_the_message(rapport: Rapport) -> None:
    person = await register(rapport)
    address = f"{new_key()}@example.org"
    await subscribe(rapport, VERDICTS, "email", address)
    wave = (await open_wave(rapport))["id"]
    await import_responses(rapport, wave, [answer(n) for n in range(SHOWN_FROM - 1)])
    await rapport.settled()

    # With the thirtieth response the figure may be shown, and somebody is to be told.
    trace = TRACE.format(1)
    named = answer(SHOWN_FROM, stakeholder_id=person)
    await submit(rapport, wave, named, traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    await counted(rapport, wave, SHOWN_FROM)

    async def arrived() -> list[Received]:
        with rapport.mailbox() as mailbox:
            return mailbox.messages(to=address)

    await until(arrived, what="the message arrives")

    async def whole() -> dict[tuple[str, str, str], Span] | None:
        found = {(span.service, span.kind, span.name): span for span in reversed(story(rapport, trace).spans)}
        return found if set(STEPS) <= set(found) else None

    try:
        spans = await until(whole)
    except AssertionError:
        present = {(span.service, span.kind, span.name) for span in story(rapport, trace)}
        raise AssertionError(f"missing {set(STEPS) - present}, present {sorted(present)}") from None
    assert spans is not None
    began = [spans[step].start_ns for step in STEPS]
    assert began == sorted(began)
    assert all(span.status != "error" for span in spans.values())

    server = spans[STEPS[0]]
    assert (server.trace_id, server.parent_id) == (trace, "00f067aa0ba902b7")
    assert server.attributes["http.route"] == "/waves/{id}/responses"
    assert server.attributes["http.response.status_code"] == 201
    for service, kind, name in STEPS:
        attributes = spans[service, kind, name].attributes
        if kind in {"producer", "consumer"}:
            operation, _, topic = name.partition(" ")
            assert attributes["messaging.system"] == "kafka"
            assert attributes["messaging.operation.name"] == operation
            assert attributes["messaging.operation.type"] == operation
            assert attributes["messaging.destination.name"] == topic
        if kind == "consumer":
            assert attributes["messaging.consumer.group.name"] == service
        if name.startswith("commit"):
            assert attributes["db.system.name"] == "mongodb"
            assert attributes["db.namespace"] == service


async def test_an_anonymous_response_leaves_no_trace_that_leads_to_it(rapport: Rapport) -> None:
    wave = (await open_wave(rapport))["id"]
    await import_responses(rapport, wave, [answer(n) for n in range(SHOWN_FROM)])
    await counted(rapport, wave, SHOWN_FROM)
    trace = TRACE.format(2)
    await submit(rapport, wave, answer(0), traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    await counted(rapport, wave, SHOWN_FROM + 1)

    async def request() -> Story:
        return story(rapport, trace)

    await until(request, what="the request's own span arrives")
    await rapport.settled()
    assert {span.service for span in story(rapport, trace)} == {"feedback"}


def story(rapport: Rapport, trace: str) -> Story:
    with rapport.spans() as store:
        return store.story(trace)
