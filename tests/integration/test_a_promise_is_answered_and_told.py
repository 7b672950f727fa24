"""Promise, reply, message: those who took part are told, once each, and the proof of it comes back."""

from typing import Any

from rapport_stack.mailbox import Received
from standardwebhooks import Webhook

from tests.integration.acts import consent, day, open_exercise, promise_broken, register, subscribe
from tests.integration.rapport import Rapport, new_key, until

REPLIES, BROKEN = "engagement.exercise.reply-published", "engagement.exercise.promise-broken"


def arrived(rapport: Rapport, to: str) -> list[Received]:
    """Everything the mailbox got for an address or a hook, attempts that failed too."""
    with rapport.mailbox() as mailbox:
        return mailbox.messages(to=to, turned_away=True)


async def some(rapport: Rapport, to: str) -> list[Received]:
    async def there() -> list[Received]:
        return arrived(rapport, to)

    return await until(there, what=f"something arrives for {to}")


async def test_a_published_reply_reaches_each_participant_once_and_receipts_come_back(rapport: Rapport) -> None:
    by_mail, by_hook, silent = [await register(rapport, f"Example Participant {n}") for n in range(3)]
    address, hook = f"{new_key()}@example.org", new_key()
    await consent(rapport, by_mail, "email")
    await consent(rapport, by_hook, "webhook")
    await subscribe(rapport, REPLIES, "email", address, by_mail)
    secret = (await subscribe(rapport, REPLIES, "webhook", rapport.hook(hook), by_hook))["secret"]

    exercise = await open_exercise(rapport, [by_mail, by_hook, silent], title="How should we listen?")
    assert exercise["promise_state"] == "standing"
    reply = {"reply": "We heard you: the form gets shorter."}
    path = f"/exercises/{exercise['id']}"
    replied = await rapport.post("engagement", f"{path}/reply", reply, **{"If-Match": f'"{exercise["version"]}"'})
    assert replied["promise_state"] == "kept"

    (mail,) = await some(rapport, address)
    assert "How should we listen?" in mail.subject
    assert "We heard you: the form gets shorter." in mail.body
    assert mail.answer == 250

    (call,) = await some(rapport, hook)
    assert call.verified
    payload: Any = Webhook(secret).verify(call.body, call.headers)
    assert payload["type"] == REPLIES
    assert payload["data"]["facts"]["reply"] == "We heard you: the form gets shorter."
    assert "participants" not in payload["data"]["facts"]

    async def proof() -> dict[str, Any] | None:
        found: dict[str, Any] = await rapport.get("engagement", f"{path}/receipts")
        return found if len(found["told"]) == 2 else None

    receipts = await until(proof, what="both receipts are back")
    assert receipts is not None
    assert sorted(receipts["told"]) == sorted([by_mail, by_hook])
    assert receipts["waiting"] == [silent]  # nobody subscribed for them, so no message could tell
    assert payload["data"]["event_id"] == receipts["reply_event"]
    assert {(each["channel"], each["outcome"]) for each in receipts["receipts"]} == {
        ("email", "sent"),
        ("webhook", "sent"),
    }

    await rapport.settled()
    assert [len(arrived(rapport, to)) for to in (address, hook)] == [1, 1]


async def test_a_promise_past_its_date_is_broken_by_the_clock_and_told(rapport: Rapport) -> None:
    address = f"{new_key()}@example.org"
    await subscribe(rapport, BROKEN, "email", address)
    await promise_broken(rapport, title="What became of it?")
    (mail,) = await some(rapport, address)
    assert "What became of it?" in mail.subject
    assert day(-10) in mail.body
    await rapport.settled()
    assert len(arrived(rapport, address)) == 1
