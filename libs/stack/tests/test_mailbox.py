import json
import smtplib
from datetime import UTC, datetime
from email.message import EmailMessage

import httpx
import pytest
from rapport_stack.mailbox import Mailbox
from standardwebhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def mail(*to, subject="Reply published", body="The director has replied.\n"):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "rapport@example.org", ", ".join(to), subject
    message.set_content(body)
    return message


def send(workbench, message):
    with smtplib.SMTP("127.0.0.1", workbench.smtp_port, timeout=10) as smtp:
        return smtp.send_message(message)


def signed(body, secret=SECRET, at=None):
    at = at or datetime.now(UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", at, body),
        "content-type": "application/json",
    }


@pytest.fixture
def inbox(workbench):
    with workbench.mailbox() as opened:
        yield opened


def test_a_mail_arrives_for_each_recipient(workbench, inbox):
    send(workbench, mail("one@example.org", "two@example.org", subject="Réponse publiée", body="Très bien.\n"))
    for to in ("one@example.org", "two@example.org"):
        (received,) = inbox.messages(to=to)
        assert (received.kind, received.subject, received.body) == ("mail", "Réponse publiée", "Très bien.\n")
        assert received.headers["from"] == "rapport@example.org"
        assert (received.verified, received.answer) == (None, 250)
        assert abs((datetime.now(UTC) - received.at).total_seconds()) < 30


def test_an_injected_fault_answers_451_as_often_as_asked(workbench, inbox):
    fault = {"target": "busy@example.org", "status": 451, "times": 2}
    assert httpx.post(f"{workbench.url}/inbox/faults", json=fault).status_code == 204
    for _ in range(2):
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            send(workbench, mail("busy@example.org"))
        assert refused.value.recipients["busy@example.org"][0] == 451
    send(workbench, mail("busy@example.org"))

    assert [message.answer for message in inbox.messages(to="busy@example.org")] == [250]
    attempts = inbox.messages(to="busy@example.org", turned_away=True)
    assert [message.answer for message in attempts] == [451, 451, 250]


def test_one_faulty_recipient_leaves_the_other_alone(workbench, inbox):
    inbox.fail("gone@example.org", 550, 1)
    assert set(send(workbench, mail("gone@example.org", "there@example.org"))) == {"gone@example.org"}
    assert inbox.messages(to="gone@example.org") == []
    assert len(inbox.messages(to="there@example.org")) == 1


def test_a_webhook_signed_with_the_known_secret_is_verified(workbench, inbox):
    secret = {"name": "press-office", "secret": SECRET}
    assert httpx.post(f"{workbench.url}/inbox/secrets", json=secret).status_code == 204
    body = json.dumps({"type": "measures.verdict.changed", "data": {"verdict": "met"}})
    hook = f"{workbench.url}/hooks/press-office"

    assert httpx.post(hook, content=body, headers=signed(body)).status_code == 204
    assert httpx.post(hook, content=body + " ", headers=signed(body)).status_code == 401
    old = signed(body, at=datetime(2020, 1, 1, tzinfo=UTC))
    assert httpx.post(hook, content=body, headers=old).status_code == 401
    garbled = signed(body) | {"webhook-signature": "garbled"}
    assert httpx.post(hook, content=body, headers=garbled).status_code == 401
    assert httpx.post(hook, content=body).status_code == 401

    first, *others = inbox.messages(to="press-office")
    assert (first.kind, first.subject, first.body) == ("webhook", "measures.verdict.changed", body)
    assert first.headers["webhook-id"] == "msg_1"
    assert first.verified is True
    assert [message.verified for message in others] == [False] * 4


def test_a_webhook_without_a_known_secret_is_kept_unverified(workbench, inbox):
    assert httpx.post(f"{workbench.url}/hooks/stranger", content=b"\xff not json").status_code == 204
    (received,) = inbox.messages(to="stranger")
    assert (received.subject, received.verified) == ("", None)


def test_a_webhook_meets_an_injected_fault(workbench, inbox):
    inbox.fail("slow", 503, 1)
    hook = f"{workbench.url}/hooks/slow"
    assert [httpx.post(hook, content=b"{}").status_code for _ in range(2)] == [503, 204]
    listed = httpx.get(f"{workbench.url}/inbox", params={"to": "slow", "turned_away": "true"}).json()
    assert [message["answer"] for message in listed] == [503, 204]
    assert len(httpx.get(f"{workbench.url}/inbox", params={"to": "slow"}).json()) == 1


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("faults", b"not json"),
        ("faults", b"[]"),
        ("faults", b'{"target": "x", "status": 200, "times": 1}'),
        ("faults", b'{"target": "x", "status": 503, "times": -1}'),
        ("secrets", b'{"name": "x"}'),
        ("secrets", b'{"name": "x", "secret": "whsec_"}'),
    ],
)
def test_malformed_controls_are_refused(workbench, path, content):
    answer = httpx.post(f"{workbench.url}/inbox/{path}", content=content)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_only_the_newest_are_kept(tmp_path):
    with Mailbox(tmp_path, keep=3) as inbox:
        for number in range(5):
            inbox.receive_hook("x", str(number).encode(), {})
        assert [message.body for message in inbox.messages()] == ["2", "3", "4"]
        assert [message.body for message in inbox.messages(limit=2)] == ["3", "4"]
