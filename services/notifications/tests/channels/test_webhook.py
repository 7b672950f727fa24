"""What is particular to webhooks: signatures, and URLs that would lead into our own network."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from notifications.channels.channel import AddressRefused, Refused, Retry
from notifications.channels.webhook import Webhook
from notifications.domain.message import Letter, Rendered
from notifications.settings import WebhookSettings
from standardwebhooks import Webhook as Receiver

from services.notifications.tests.house import NOW, REPLIES, Inbox

RENDERED = Rendered("Reply published", "Größe\n")
OPEN = WebhookSettings(allow_insecure=True, timeout_seconds=2)


def letter(address: str, **changes) -> Letter:
    facts = {
        "id": "m1",
        "attempt": 1,
        "channel": "webhook",
        "event_type": REPLIES,
        "cause": "e1",
        "occurred_at": NOW,
        "synthetic": True,
        "address": address,
        "secret": Webhook(OPEN).new_secret(),
        "facts": '{"exercise_id": "x1"}',
    }
    return Letter(**{**facts, **changes})


@pytest.fixture
async def answering() -> AsyncIterator[Callable[..., Awaitable[tuple[int, list[bytes]]]]]:
    """Starts servers that give one fixed answer, and keeps the heads of what they were asked."""
    servers: list[asyncio.Server] = []

    async def start(answer: bytes, tls: ssl.SSLContext | None = None) -> tuple[int, list[bytes]]:
        asked: list[bytes] = []

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
        servers.append(server)
        return server.sockets[0].getsockname()[1], asked

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


async def test_the_payload_is_signed_as_standard_webhooks_prescribe(inbox: Inbox):
    channel = Webhook(inbox.webhook)
    sent = letter(f"{inbox.hooks}press")
    await channel.send(sent, RENDERED)
    await channel.close()
    (received,) = inbox.box.messages(to="press")
    payload = Receiver(sent.secret).verify(received.body, received.headers)
    assert payload == {
        "type": REPLIES,
        "timestamp": "2026-01-05T12:00:00+00:00",
        "data": {
            "event_id": "e1",
            "synthetic": True,
            "subject": "Reply published",
            "text": "Größe\n",
            "facts": {"exercise_id": "x1"},
        },
    }
    assert received.headers["webhook-id"] == "m1"
    assert received.headers["content-type"] == "application/json"


async def test_another_secret_does_not_verify(inbox: Inbox):
    inbox.box.trust("press", Webhook(OPEN).new_secret())
    channel = Webhook(inbox.webhook)
    with pytest.raises(Retry):
        await channel.send(letter(f"{inbox.hooks}press"), RENDERED)
    await channel.close()


async def test_without_a_secret_nothing_is_sent(inbox: Inbox):
    with pytest.raises(Refused):
        await Webhook(inbox.webhook).send(letter(f"{inbox.hooks}press", secret=None), RENDERED)


async def test_gone_is_for_good(inbox: Inbox):
    inbox.box.fail("press", 410, times=1)
    channel = Webhook(inbox.webhook)
    with pytest.raises(Refused):
        await channel.send(letter(f"{inbox.hooks}press"), RENDERED)
    await channel.close()


@pytest.mark.catalogue("Z18")
@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        (b"Retry-After: 120", 120, 120),
        (b"Retry-After: " + format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True).encode(), 3000, 3600),
        (b"Retry-After: soon", None, None),
        (b"Retry-After: -5", None, None),
        (b"Retry-After: " + b"9" * 5_000, None, None),
        (b"X-Nothing: 1", None, None),
    ],
)
@pytest.mark.catalogue("Z18")
async def test_retry_after_is_heard(answering, header: bytes, least: float | None, most: float | None):
    port, _ = await answering(b"HTTP/1.1 429 Busy\r\nContent-Length: 0\r\n" + header + b"\r\n\r\n")
    channel = Webhook(OPEN)
    with pytest.raises(Retry) as refused:
        await channel.send(letter(f"http://127.0.0.1:{port}/"), RENDERED)
    await channel.close()
    if least is None:
        assert refused.value.after is None
    else:
        assert least <= refused.value.after <= most


@pytest.mark.catalogue("Z18")
async def test_no_redirect_is_followed(answering):
    inside, asked_inside = await answering(b"HTTP/1.1 204 No Content\r\n\r\n")
    location = f"Location: http://127.0.0.1:{inside}/".encode()
    port, asked = await answering(b"HTTP/1.1 307 Over There\r\nContent-Length: 0\r\n" + location + b"\r\n\r\n")
    channel = Webhook(OPEN)
    with pytest.raises(Retry):
        await channel.send(letter(f"http://127.0.0.1:{port}/"), RENDERED)
    await channel.close()
    assert len(asked) == 1
    assert asked_inside == []


@pytest.mark.catalogue("Z18")
async def test_the_body_of_an_answer_is_not_read(answering):
    port, _ = await answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\nand then nothing")
    channel = Webhook(OPEN)
    await channel.send(letter(f"http://127.0.0.1:{port}/"), RENDERED)
    await channel.close()


@pytest.mark.parametrize(
    "address",
    [
        "http://example.org/hook",
        "https://user:secret@example.org/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://api.localhost/",
        "https://10.1.2.3/",
        "https://172.16.0.1/",
        "https://192.168.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        "https://[::1]/",
        "https://[::]/",
        "https://[fe80::1]/",
        "https://[fc00::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "https://",
        "https://example.org:0/",
        "https://example.org:99999/",
        "https://example.org/\r\nX: 1",
        "https://exämple.org/",
        "https://example.org\\@127.0.0.1/",
    ],
)
@pytest.mark.catalogue("B36")
def test_urls_that_lead_elsewhere_are_refused(address: str):
    with pytest.raises(AddressRefused):
        Webhook(WebhookSettings()).check(address)


@pytest.mark.parametrize(
    "address", ["https://example.org/", "https://93.184.215.14:8443/x?y=1", "https://[2606:4700::1111]/"]
)
def test_public_urls_are_taken(address: str):
    Webhook(WebhookSettings()).check(address)


@pytest.mark.parametrize("host", ["localhost.localdomain", "2130706433", "0x7f.1", "127.1", "ip6-localhost"])
async def test_a_name_that_leads_inside_is_refused_once_it_is_looked_up(answering, host: str):
    port, asked = await answering(b"HTTP/1.1 204 No Content\r\n\r\n")
    channel = Webhook(WebhookSettings(timeout_seconds=5))
    with pytest.raises((Refused, Retry)) as refused:
        await channel.send(letter(f"https://{host}:{port}/"), RENDERED)
    await channel.close()
    assert asked == []
    # A machine that does not know the name says so; one that does must not go there.
    assert refused.value.reason in ("address-refused", "unreachable")
    assert host != "2130706433" or refused.value.reason == "address-refused"


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    """A server's TLS context with a certificate for `localhost`, and the file of the authority that vouches for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "localhost.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, str(file)


async def test_the_address_is_pinned_and_tls_still_asks_for_the_name(answering, certificate):
    context, authority = certificate
    port, asked = await answering(b"HTTP/1.1 204 No Content\r\n\r\n", context)
    channel = Webhook(OPEN.model_copy(update={"ca_file": authority}))
    await channel.send(letter(f"https://localhost:{port}/hook?a=1"), RENDERED)
    assert asked[0].startswith(b"POST /hook?a=1 HTTP/1.1\r\n")
    assert f"Host: localhost:{port}\r\n".encode() in asked[0]

    with pytest.raises(Retry):
        await channel.send(letter(f"https://127.0.0.1:{port}/"), RENDERED)
    await channel.close()
    assert len(asked) == 1, "the certificate is not for the number"


async def test_an_authority_nobody_vouches_for_is_not_trusted(answering, certificate):
    port, asked = await answering(b"HTTP/1.1 204 No Content\r\n\r\n", certificate[0])
    channel = Webhook(OPEN)
    with pytest.raises(Retry):
        await channel.send(letter(f"https://localhost:{port}/"), RENDERED)
    await channel.close()
    assert asked == []


def test_a_secret_is_long_and_new_each_time():
    one, two = Webhook(OPEN).new_secret(), Webhook(OPEN).new_secret()
    assert one != two
    assert one.startswith("whsec_")
    assert len(base64.b64decode(one.removeprefix("whsec_"))) >= 24
