"""What is particular to mail."""

import pytest
from notifications.channels.channel import AddressRefused, Refused, Retry
from notifications.channels.email import Email
from notifications.domain.message import Letter, Rendered
from notifications.settings import EmailSettings
from pydantic import ValidationError

from services.notifications.tests.house import NOW, REPLIES, Inbox

RENDERED = Rendered("Reply published", "Größe\n")


def letter(address: str = "a@example.org") -> Letter:
    return Letter(
        id="m1",
        attempt=1,
        channel="email",
        event_type=REPLIES,
        cause="e1",
        occurred_at=NOW,
        synthetic=False,
        address=address,
        secret=None,
        facts="{}",
    )


async def test_headers_say_whose_it_is_and_that_nobody_wrote_it(inbox: Inbox):
    settings = inbox.email.model_copy(
        update={"sender": "updates@public.example", "unsubscribe": "mailto:stop@public.example"}
    )
    await Email(settings).send(letter(), RENDERED)
    (received,) = inbox.box.messages(to="a@example.org")
    headers = received.headers
    assert headers["message-id"] == "<m1@public.example>"
    assert headers["from"] == "Rapport <updates@public.example>"
    assert headers["to"] == "a@example.org"
    assert headers["auto-submitted"] == "auto-generated"
    assert headers["list-unsubscribe"] == "<mailto:stop@public.example>"
    assert headers["content-type"] == 'text/plain; charset="utf-8"'
    assert received.body == "Größe\n"


@pytest.mark.parametrize(("code", "error"), [(421, Retry), (450, Retry), (550, Refused), (554, Refused)])
async def test_a_4xx_passes_and_a_5xx_does_not(inbox: Inbox, code: int, error: type[Exception]):
    inbox.box.fail("a@example.org", code, times=1)
    with pytest.raises(error):
        await Email(inbox.email).send(letter(), RENDERED)


@pytest.mark.parametrize(
    "address",
    [
        "a..b@example.org",
        ".a@example.org",
        "a@example..org",
        "a@-example.org",
        "a@example.org, b@example.org",
        "Name <a@example.org>",
        '"a b"@example.org',
        "a@[127.0.0.1]",
        "раураl@example.org",  # noqa: RUF001 - the homograph is the point
        "a" * 65 + "@example.org",
        "a@" + "b" * 60 + "." + "c" * 190 + ".org",
        "a@example.org\n",
        "a\x00@example.org",
    ],
)
def test_addresses_that_would_mean_something_else_are_refused(address: str):
    with pytest.raises(AddressRefused):
        Email(EmailSettings()).check(address)


@pytest.mark.parametrize("address", ["a@example.org", "first.last+tag@sub.example.org", "o'neil@xn--bcher-kva.example"])
def test_ordinary_addresses_are_taken(address: str):
    Email(EmailSettings()).check(address)


def test_a_password_goes_over_an_encrypted_line_only():
    with pytest.raises(ValidationError, match="encrypted line"):
        EmailSettings(username="rapport", password="x")
    assert EmailSettings(username="rapport", password="x", tls="starttls").tls == "starttls"


async def test_a_server_without_starttls_gets_nothing_where_it_is_demanded(inbox: Inbox):
    with pytest.raises(Retry):
        await Email(inbox.email.model_copy(update={"tls": "starttls"})).send(letter(), RENDERED)
    assert inbox.box.messages() == []
