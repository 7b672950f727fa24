"""Who takes part in the demo, what they are promised, and who wants to hear of it. All of them are synthetic."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

import httpx
from rapport_stack.mailbox import Mailbox

from rapport_cli.board import wait_until
from rapport_cli.client import Client
from rapport_cli.errors import CommandError

VERDICT: Final = "measures.measure.verdict-changed"
REPLY: Final = "engagement.exercise.reply-published"
BROKEN: Final = "engagement.exercise.promise-broken"
CONTACT: Final = "engagement.contact.logged"

OFFICE: Final = "synthetic-office@example.org"
HOOK: Final = "synthetic-newsroom"
LEAVING: Final = "synthetic-0560"
"""The person who withdraws consent while messages are being sent."""
TAKING_PART: Final = ("synthetic-0300", "synthetic-0301", "synthetic-0302", "synthetic-0303")
PATIENCE: Final = 20.0


@dataclass(frozen=True, slots=True)
class People:
    """Ids by reference, and of what was set up for the demo."""

    ids: dict[str, str]
    leaving: str
    exercise: str
    overdue: str


def subscribe(client: Client, mailbox: Mailbox, ids: dict[str, str]) -> str:
    """An office by mail, a newsroom by webhook (its first two calls fail), two stakeholders by mail.

    Returns the subscription of the person who will withdraw consent.
    """
    _subscribe(client, [VERDICT, REPLY, BROKEN, CONTACT], "email", OFFICE)
    hook = f"{client.bench.url}/hooks/{HOOK}"
    mailbox.trust(HOOK, _subscribe(client, [VERDICT], "webhook", hook)["secret"])
    mailbox.fail(HOOK, httpx.codes.SERVICE_UNAVAILABLE, 2)
    _subscribe(client, [REPLY], "email", f"{TAKING_PART[0]}@example.org", ids[TAKING_PART[0]])
    leaving: str = _subscribe(client, [VERDICT], "email", f"{LEAVING}@example.org", ids[LEAVING])["id"]
    return leaving


def _subscribe(
    client: Client, kinds: list[str], channel: str, address: str, stakeholder: str | None = None
) -> dict[str, Any]:
    body = {"event_types": kinds, "channel": channel, "address": address, "stakeholder_id": stakeholder}
    answer: dict[str, Any] = client.post(
        "notifications", "/subscriptions", body, **{"Idempotency-Key": f"{channel}-{address}"}
    )
    return answer


def withdraw_consent(client: Client, stakeholder: str) -> None:
    client.call("DELETE", "registry", f"/stakeholders/{stakeholder}/consents/updates/email", params={"proof": "form"})


def open_exercise(client: Client, ids: dict[str, str], *, days: int, title: str) -> str:
    """An exercise whose reply is due so many days from now; its id. Recorded late where that is in the past."""
    today = dt.datetime.now(dt.UTC).date()
    body = {
        "title": title,
        "level": "consult",
        "method": "meeting",
        "promise": "Synthetic promise: what you say will be read by the decision maker and answered in writing.",
        "decision_maker": "director",
        "opened_on": (today - dt.timedelta(days=60)).isoformat(),
        "reply_due": (today + dt.timedelta(days=days)).isoformat(),
        "participants": [ids[reference] for reference in TAKING_PART],
        "synthetic": True,
    }
    opened: dict[str, Any] = _once_heard(client, "/exercises", body)
    exercise: str = opened["id"]
    return exercise


def log_contact(client: Client, ids: dict[str, str], exercise: str) -> None:
    """An engagement that is evidence for an activity of the delivery plan."""
    activity = client.get("engagement", "/plan")["activities"][0]
    body = {
        "participants": [ids[reference] for reference in TAKING_PART],
        "level": "consult",
        "nature": "engagement",
        "mode": "proactive",
        "method": "meeting",
        "held_on": (dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)).isoformat(),
        "notes": "Synthetic notes of a synthetic meeting.",
        "exercise_id": exercise,
        "activity_id": activity["id"],
    }
    _once_heard(client, "/contacts", body)


def reply(client: Client, exercise: str) -> str:
    """Publish the reply; the promise's state after it."""
    version = client.get("engagement", f"/exercises/{exercise}")["version"]
    body = {"reply": "Synthetic reply: we heard that letters are hard to read; we will use plainer ones."}
    answer = client.post("engagement", f"/exercises/{exercise}/reply", body, **{"If-Match": f'"{version}"'})
    state: str = answer["promise_state"]
    return state


def promise_state(client: Client, exercise: str) -> str:
    state: str = client.get("engagement", f"/exercises/{exercise}")["promise_state"]
    return state


def _once_heard(client: Client, path: str, body: dict[str, Any]) -> Any:
    """Post; where the engagement service has not heard of the participants yet (409), again a moment later."""
    answers: list[httpx.Response] = []
    key = f"{path}-{body.get('title', 'contact')}"

    def taken() -> bool:
        answer = client.http.post(
            client.url("engagement", path), json=body, headers={"Idempotency-Key": key.replace(" ", "-")}
        )
        answers.append(answer)
        return answer.status_code != httpx.codes.CONFLICT

    if not wait_until(taken, seconds=PATIENCE) or answers[-1].is_error:
        raise CommandError(f"engagement refused {path}: {answers[-1].text}", "See its log in .rapport/demo/logs")
    return answers[-1].json()
