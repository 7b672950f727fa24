"""What every channel promises, over each of them against a real server. A new channel adds one line to SUITE."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from notifications.channels import CHANNELS
from notifications.channels.channel import AddressRefused, Channel, Retry
from notifications.channels.email import Email
from notifications.channels.webhook import Webhook
from notifications.domain.message import Letter, Rendered

RENDERED = Rendered("Reply published: Safer streets, réponse", "Größe, 日本語, <b>{{7*7}}</b>\nsecond line\n")


@dataclass(frozen=True, slots=True)
class Bench:
    """One channel, ready to send to the inbox."""

    channel: Channel
    address: str
    target: str
    """The address as the inbox calls it."""
    temporary: int
    """What a receiver answers that is only busy."""
    id_header: str
    elsewhere: Callable[[int], tuple[Channel, str]]
    """The same channel towards another port of this machine."""

    def letter(self, **changes: Any) -> Letter:
        made = Letter(
            id="0190ab53-0a13-5e45-9149-82b79f9b7e3f",
            attempt=1,
            channel="under test",
            event_type="engagement.exercise.reply-published",
            cause="01906a7e-f1ed-79f1-9c2f-59ab7bfaf50f",
            occurred_at=datetime(2026, 1, 5, 12, tzinfo=UTC),
            synthetic=False,
            address=self.address,
            secret=self.channel.new_secret(),
            facts='{"exercise_id":"x"}',
        )
        return replace(made, **changes)


def email(inbox: Any, name: str) -> Bench:
    def elsewhere(port: int) -> tuple[Channel, str]:
        return Email(inbox.email.model_copy(update={"port": port, "timeout_seconds": 0.3})), address

    address = f"{name}@example.org"
    return Bench(Email(inbox.email), address, address, 451, "message-id", elsewhere)


def webhook(inbox: Any, name: str) -> Bench:
    def elsewhere(port: int) -> tuple[Channel, str]:
        short = inbox.webhook.model_copy(update={"timeout_seconds": 0.3})
        return Webhook(short), f"http://127.0.0.1:{port}/hooks/{name}"

    return Bench(Webhook(inbox.webhook), f"{inbox.hooks}{name}", name, 503, "webhook-id", elsewhere)


SUITE = {
    "email": email,
    "webhook": webhook,
}


@pytest.fixture(params=SUITE)
async def bench(request: pytest.FixtureRequest, inbox: Any) -> AsyncIterator[Bench]:
    made = SUITE[request.param](inbox, f"press-{secrets.token_hex(4)}")
    yield made
    await made.channel.close()


def test_the_suite_runs_over_every_channel_there_is():
    assert SUITE.keys() == CHANNELS.keys()


async def test_a_letter_arrives_whole_and_once(inbox: Any, bench: Bench):
    await bench.channel.send(bench.letter(), RENDERED)

    (received,) = inbox.box.messages(to=bench.target)
    assert bench.letter().id in received.headers[bench.id_header]
    assert RENDERED.subject in received.subject + received.body
    assert "Größe, 日本語, <b>{{7*7}}</b>" in received.body


async def test_a_busy_receiver_is_asked_again_and_sees_the_same_id(inbox: Any, bench: Bench):
    inbox.box.fail(bench.target, bench.temporary, times=1)
    letter = bench.letter()

    with pytest.raises(Retry) as refused:
        await bench.channel.send(letter, RENDERED)
    assert refused.value.reason == "turned-away"
    assert inbox.box.messages(to=bench.target) == []

    await bench.channel.send(letter, RENDERED)
    await bench.channel.send(letter, RENDERED)
    ids = [received.headers[bench.id_header] for received in inbox.box.messages(to=bench.target)]
    assert len(ids) == 2
    assert len(set(ids)) == 1


async def test_nobody_there_is_tried_again(bench: Bench):
    with socket.socket() as bound:  # bound and not listening: refused for certain
        bound.bind(("127.0.0.1", 0))
        await _unreachable(bench, bound.getsockname()[1])


async def _unreachable(bench: Bench, port: int) -> None:
    channel, address = bench.elsewhere(port)
    with pytest.raises(Retry) as refused:
        await channel.send(bench.letter(address=address), RENDERED)
    assert refused.value.reason == "unreachable"
    await channel.close()


async def test_a_receiver_that_never_answers_is_given_up_in_time(bench: Bench):
    over = asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with asyncio.timeout(5):
        await _unreachable(bench, server.sockets[0].getsockname()[1])
    over.set()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    "address",
    [
        "",
        " ",
        "nobody",
        "a@b",
        "ftp://example.org/x",
        "javascript:alert(1)",
        "a@example.org\r\nBcc: b@example.org",
        "é@é",
    ],
)
def test_what_is_no_address_is_refused(bench: Bench, address: str):
    with pytest.raises(AddressRefused) as refused:
        bench.channel.check(address)
    assert not address.strip() or address not in str(refused.value)


def test_its_own_address_is_taken(bench: Bench):
    bench.channel.check(bench.address)


def test_a_letter_shows_no_content_in_logs(bench: Bench):
    letter = bench.letter(secret="whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0")
    assert bench.address not in repr(letter)
    assert "whsec" not in repr(letter)
    assert "exercise_id" not in repr(letter)
