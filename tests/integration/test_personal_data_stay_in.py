"""Personal data lie nowhere in clear: unmistakable words go in by every door, also by those that refuse them."""

import asyncio
import base64
import itertools
import json
import secrets
from typing import Any

import pytest

from tests.integration.acts import QUESTION, answer, consent, day, heard_of, open_exercise, open_wave
from tests.integration.clear_text import found, found_in_clear
from tests.integration.rapport import Rapport, new_key
from tests.integration.words import Sender, Words

STAFF = ("engagement.contacts", "engagement.exercises", "local.oplog.rs")
"""Where the identity provider's name of a colleague stands by design, who logged or recorded it; and the store's own log."""

PUBLISHED = ("feedback.instruments", "feedback.idempotency", "local.oplog.rs")
"""Where the words of a questionnaire stand in clear, for everybody who is asked reads them; the answer to its publisher too."""


@pytest.mark.catalogue("Z17")
async def test_words_stay_in(rapport: Rapport, words: Words, door: Sender, colleague: str) -> None:
    person = await registered(door, words)
    await heard_of(rapport, [person])
    await consent(rapport, person, "email", "webhook")
    wave = (await open_wave(rapport))["id"]
    exercise = (await open_exercise(rapport, [person]))["id"]
    await asyncio.gather(
        turned_away(door, words, person),
        imported(door, words),
        told(rapport, door, words, person),
        answered(door, words, wave, person),
        streamed(door, words, wave),
        refused(door, words, wave, exercise),
    )
    await engaged(door, words, person)
    await rapport.settled()
    with rapport.mailbox() as mailbox:
        delivered = [("inbox", repr(message).encode()) for message in mailbox.messages()]
    assert [hit for hit in found(delivered, words.all) if "title" in hit], "nothing went the whole way"
    assert found(words.refusals, words.all) == [], "an answer quotes what it refuses"
    assert await found_in_clear(rapport, words.all) == []
    assert await found_in_clear(rapport, [colleague], but=STAFF) == []


async def test_the_words_of_a_questionnaire_are_told_to_nobody_but_its_readers(
    rapport: Rapport, words: Words, door: Sender
) -> None:
    question = {
        "code": "example.question",
        "version": 1,
        "text": words.new("question"),
        "answers": [{"code": code, "label": words.new("label")} for code in ("yes", "no")],
        "counts": ["yes"],
    }
    instrument = {"code": f"example-{secrets.token_hex(4)}", "version": 1, "title": words.new("title")}
    body = {**instrument, "weighted": False, "questions": [question], "synthetic": True}
    await door.send("POST", "feedback", "/instruments", json=body, expect={201})
    changed = {**body, "version": 2, "questions": [{**question, "text": words.new("rewritten")}]}
    await door.send("POST", "feedback", "/instruments", json=changed, expect={409})
    await rapport.settled()
    assert found(words.refusals, words.all) == []
    assert await found_in_clear(rapport, words.all, but=PUBLISHED) == []


async def registered(door: Sender, words: Words) -> str:
    """Somebody who is registered, registered again, looked for, and amended."""
    body = {
        "kind": "person",
        "name": f"{words.new('name')} {words.new('name')}",
        "email": words.mail(),
        "phone": words.phone(),
        "reference": words.new("reference"),
        "category": "public",
        "synthetic": True,
    }
    key = words.new("key")
    made = await door.send("POST", "registry", "/stakeholders", json=body, key=key, expect={201})
    person: str = made.json()["id"]
    await door.send("POST", "registry", "/stakeholders", json=body, key=key, expect={201})
    await door.send(
        "POST", "registry", "/stakeholders", json={**body, "name": words.new("name")}, key=key, expect={422}
    )
    await door.send("POST", "registry", "/stakeholders", json=body, expect={409})
    amendment = {"name": words.new("name"), "email": words.mail(), "phone": words.phone()}
    path = f"/stakeholders/{person}"
    await door.send("PATCH", "registry", path, json=amendment, headers={"If-Match": made.headers["etag"]}, expect={200})
    stale = {**amendment, "name": words.new("name")}
    await door.send("PATCH", "registry", path, json=stale, headers={"If-Match": made.headers["etag"]}, expect={412})
    await door.send("PATCH", "registry", path, json=stale, expect={428})
    for looked_for in (amendment["name"][:12], words.new("nobody")):
        await door.send("GET", "registry", "/stakeholders", params={"name": looked_for}, expect={200})
    await door.send("GET", "registry", "/stakeholders", params={"region": words.new("region")}, expect={200, 422})
    await door.send("GET", "registry", "/stakeholders", params={"cursor": words.new("cursor")}, expect={400, 422})
    await door.send("GET", "registry", f"/stakeholders/{words.new('path')}", expect={404, 422})
    await door.send("GET", "registry", f"/{words.new('nowhere')}", expect={404})
    return person


async def turned_away(door: Sender, words: Words, person: str) -> None:
    """Requests that do not fit: of another type, too long, too deep, no JSON, no UTF-8, for a code that is not there."""
    good = {"kind": "person", "name": words.new("name"), "category": "public", "synthetic": True}
    bodies: list[dict[str, Any]] = [
        {**good, "email": words.new("nomail")},
        {**good, "phone": words.new("nophone")},
        {**good, "reference": f"no {words.new('reference')}"},
        {**good, "kind": words.new("kind")},
        {**good, "category": words.new("category")},
        {**good, "region": words.new("region")},
        {**good, "confidence_groups": [words.new("group")]},
        {**good, "name": {"first": words.new("first")}},
        {**good, "name": words.new("long") * 50},
        {**good, "synthetic": words.new("synthetic")},
        {**good, "unknown": words.new("unknown")},
    ]
    for body in bodies:
        await door.send("POST", "registry", "/stakeholders", json=body, expect={422})
    raws = [
        words.new("nojson").encode(),
        json.dumps(good).encode() + words.new("trailing").encode(),
        b'{"name": "' + words.new("latin").encode() + b'\xe9"}',
        json.dumps({"name": [[words.new("deep")]]}).replace("[[", "[" * 99).replace("]]", "]" * 99).encode(),
        b'{"name": "' + words.new("twice").encode() + b'", "name": "x"}',
        words.new("huge").encode() * 60_000,
    ]
    as_json = {"Content-Type": "application/json"}
    for raw in raws:
        await door.send("POST", "registry", "/stakeholders", content=raw, headers=as_json, expect={400, 413, 422})
    other = {"Content-Type": f"text/{words.new('type')}"}
    await door.send("POST", "registry", "/stakeholders", content=raws[0], headers=other, expect={415})
    await door.send("POST", "registry", "/stakeholders", json=good, key=f"no {words.new('key')}", expect={400})
    agreement = {"purpose": words.new("purpose"), "channel": words.new("channel"), "proof": words.new("proof")}
    await door.send("POST", "registry", f"/stakeholders/{person}/consents", json=agreement, expect={422})
    gone = f"/stakeholders/{person}/consents/{words.new('purpose')}/{words.new('channel')}"
    await door.send("DELETE", "registry", gone, params={"proof": words.new("proof")}, expect={422})
    stranger = {"Authorization": f"Bearer {words.new('token')}"}
    await door.send("POST", "registry", "/stakeholders", json=good, headers=stranger, expect={401})


async def imported(door: Sender, words: Words) -> None:
    """Good rows, bad rows, and files that are none."""
    header = "kind,name,category,email,phone,reference\n"
    rows = [
        f"person,{words.new('row')},public,{words.mail()},{words.phone()},{words.new('reference')}",
        f"person,{words.new('row')},public,{words.new('nomail')},{words.new('nophone')},{words.new('reference')}",
        f"{words.new('kind')},{words.new('row')},{words.new('category')},,,",
        f"person,{words.new('row')},{words.new('category')},,,",
        f"person,{words.new('row')}",
        f'person,"{words.new("row")}" {words.new("quote")},public,,,',
        f'person,"{words.new("open")},public,,,',
    ]
    files = [
        header + "\n".join(rows),
        f"kind,name,category,{words.new('column')}\nperson,{words.new('row')},public,x\n",
        f"{words.new('column')}\n{words.new('row')}\n",
        f"{header}person,{words.new('long') * 6_000},public,,,\n",
    ]
    as_csv = {"Content-Type": "text/csv"}
    for file, dry in itertools.product(files, ("true", "false")):
        path = f"/stakeholders/import?dry_run={dry}"
        await door.send("POST", "registry", path, content=file, headers=as_csv, expect={200, 400, 422})
    raw = header.encode() + b"person," + words.new("latin").encode() + b"\xe9,public,,,\n"
    await door.send("POST", "registry", "/stakeholders/import", content=raw, headers=as_csv, expect={200, 400, 422})


async def told(rapport: Rapport, door: Sender, words: Words, person: str) -> None:
    """Subscriptions by both channels that are taken and refused; some addresses take messages only later, or never."""
    hooks = [words.new("hook") for _ in range(2)]
    mails = [words.mail() for _ in range(3)]
    closed = f"http://127.0.0.1:9/{words.new('closed')}?token={words.new('token')}"
    nowhere = f"https://{words.new('host')}.example.org/{words.new('hook')}"
    wishes: list[dict[str, Any]] = [
        *({"channel": "email", "address": mail, "stakeholder_id": person} for mail in mails),
        *({"channel": "webhook", "address": rapport.hook(hook), "stakeholder_id": person} for hook in hooks),
        *({"channel": "webhook", "address": address} for address in (closed, nowhere)),
    ]
    with rapport.mailbox() as mailbox:
        for target, status in ((mails[0], 451), (mails[1], 550), (hooks[0], 503), (hooks[1], 410)):
            mailbox.fail(target, status, 1)
    made = []
    for wish in wishes:
        body = {"event_types": ["engagement.contact.logged", "engagement.exercise.reply-published"], **wish}
        made.append(await door.send("POST", "notifications", "/subscriptions", json=body, expect={201}))
    for secret in (each.json()["secret"] for each in made):
        if secret is not None:
            words.all += [secret, base64.b64decode(secret.removeprefix("whsec_")).hex()]
    for channel, address in (
        ("email", words.new("nomail")),
        ("webhook", words.new("nourl")),
        ("webhook", f"ftp://{words.new('host')}/"),
        ("webhook", f"https://{words.new('user')}:{words.new('password')}@example.org/"),
        (words.new("channel"), words.mail()),
    ):
        body = {"event_types": ["engagement.contact.logged"], "channel": channel, "address": address}
        await door.send("POST", "notifications", "/subscriptions", json=body, expect={422})
    body = {"event_types": [words.new("type")], "channel": "email", "address": words.mail()}
    await door.send("POST", "notifications", "/subscriptions", json=body, expect={422})
    # Nobody waits for an address that never answers.
    await door.send("DELETE", "notifications", f"/subscriptions/{made[-1].json()['id']}", expect={204})
    await door.send("DELETE", "notifications", f"/subscriptions/{made[-2].json()['id']}", expect={204})


async def answered(door: Sender, words: Words, wave: str, person: str) -> None:
    """Responses with words of their own, under a name and anonymous; repeated, contradicted, misfit."""
    path = f"/waves/{wave}/responses"
    for number, who in enumerate(({}, {"stakeholder_id": person})):
        body = answer(number, comment=words.new("comment"), reference=words.new("interview"), **who)
        key = words.new("key")
        for _ in range(2):
            await door.send("POST", "feedback", path, json=body, key=key, expect={201})
        await door.send("POST", "feedback", path, json=body, expect={201})
        await door.send("POST", "feedback", path, json={**body, "region": "wales"}, expect={409})
    for misfit in (
        {"answers": {QUESTION: words.new("answer")}},
        {"answers": {words.new("question"): "yes"}},
        {"groups": [words.new("group")]},
        {"region": words.new("region")},
        {"day": words.new("day")},
        {"weight": words.new("weight")},
        {"stakeholder_id": words.new("person")},
        {"comment": [words.new("comment")]},
        {"reference": {"of": words.new("interview")}},
        {"comment": words.new("long") * 300},
    ):
        await door.send("POST", "feedback", path, json={**answer(0), **misfit}, expect={422})


async def streamed(door: Sender, words: Words, wave: str) -> None:
    """Rows of both formats, good, misfit and broken."""
    path = f"/waves/{wave}/responses/import"
    good = [answer(n, comment=words.new("comment"), reference=words.new("interview")) for n in range(3)]
    lines = [
        *(json.dumps(row) for row in good),
        json.dumps({**good[0], "region": "wales"}),
        json.dumps({**good[0], "reference": words.new("interview"), "region": words.new("region")}),
        json.dumps({**good[0], "reference": words.new("interview"), "unknown": words.new("unknown")}),
        json.dumps({**good[0], "reference": words.new("interview"), "answers": {QUESTION: words.new("answer")}}),
        f"{{{words.new('nojson')}",
        json.dumps({"comment": words.new("long") * 4_000}),
    ]
    as_ndjson = {"Content-Type": "application/x-ndjson"}
    await door.send("POST", "feedback", path, content="\n".join(lines), headers=as_ndjson, expect={200})
    header = f"reference,answers.{QUESTION},region,comment\n"
    rows = [
        f"{words.new('interview')},yes,wales,{words.new('comment')}",
        f"{words.new('interview')},{words.new('answer')},{words.new('region')},{words.new('comment')}",
        f"{words.new('interview')},yes,wales,{words.new('comment')},{words.new('more')}",
        f'{words.new("interview")},yes,wales,"{words.new("comment")}" {words.new("quote")}',
        f'{words.new("interview")},yes,wales,"{words.new("open")}',
    ]
    as_csv = {"Content-Type": "text/csv"}
    await door.send("POST", "feedback", path, content=header + "\n".join(rows), headers=as_csv, expect={200})
    other = f"reference,answers.{QUESTION},{words.new('column')}\n{words.new('interview')},yes,x\n"
    await door.send("POST", "feedback", path, content=other, headers=as_csv, expect={200, 422})


async def engaged(door: Sender, words: Words, person: str) -> None:
    """A meeting and its notes, an exercise, its promise and its reply: told to everybody who subscribed."""
    contact = {
        "participants": [person],
        "level": "inform",
        "nature": "engagement",
        "mode": "proactive",
        "method": "meeting",
        "held_on": day(-1),
        "notes": words.new("notes"),
    }
    await door.send("POST", "engagement", "/contacts", json=contact, expect={201})
    exercise = {
        "title": words.new("title"),
        "level": "consult",
        "method": "open-space",
        "promise": words.new("promise"),
        "decision_maker": "director",
        "reply_due": day(30),
        "participants": [person],
    }
    opened = await door.send("POST", "engagement", "/exercises", json=exercise, expect={201})
    path = f"/exercises/{opened.json()['id']}/reply"
    version = {"If-Match": opened.headers["etag"]}
    reply = {"reply": words.new("reply")}
    key = words.new("key")
    for _ in range(2):
        await door.send("POST", "engagement", path, json=reply, headers=version, key=key, expect={200, 201})
    await door.send("POST", "engagement", path, json={"reply": words.new("again")}, headers=version, expect={409, 412})


async def refused(door: Sender, words: Words, wave: str, exercise: str) -> None:
    """What the other doors refuse."""
    contact = {"level": "inform", "nature": "engagement", "mode": "proactive", "method": "meeting", "held_on": day(-1)}
    for wrong in (
        {"participants": [words.new("person")]},
        {"participants": [new_id()], "notes": words.new("notes")},
        {"participants": [new_id()], "notes": words.new("notes"), "level": words.new("level")},
        {"participants": [new_id()], "activity_id": words.new("activity")},
        {"participants": [new_id()], "held_on": words.new("day")},
    ):
        await door.send("POST", "engagement", "/contacts", json={**contact, **wrong}, expect={409, 422})
    path = f"/exercises/{exercise}/reply"
    await door.send(
        "POST", "engagement", path, json={"reply": [words.new("reply")]}, headers={"If-Match": '"1"'}, expect={422}
    )
    await door.send("POST", "engagement", path, json={"reply": words.new("reply")}, expect={428})
    plan = {"source": words.new("source"), "lines": [{"line": words.new("line"), "item": words.new("item")}]}
    await door.send("PUT", "engagement", "/plan", json=plan, expect={422})
    await door.send("POST", "feedback", "/waves", json={"instrument_code": words.new("code")}, expect={422})
    await door.send(
        "POST", "feedback", f"/waves/{wave}/close", headers={"If-Match": words.new("etag")}, expect={400, 412}
    )
    await door.send(
        "PATCH", "measures", "/settings", json={words.new("setting"): words.new("value")}, expect={422, 428}
    )
    await door.send("GET", "measures", f"/measures/{words.new('measure')}", expect={404, 422})
    await door.send("GET", "measures", "/measures", params={"wave": words.new("wave")}, expect={200, 404, 422})
    letter = f"/operations/dead-letters/{words.new('letter')}"
    await door.send("GET", "measures", letter, expect={404})
    await door.send("POST", "measures", "/operations/republish", json={"topic": words.new("topic")}, expect={404})
    await door.send(
        "POST", "measures", "/operations/dead-letters/replay", json={"letter": words.new("letter")}, expect={202}
    )


def new_id() -> str:
    """An id of nobody."""
    digits = new_key()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


LEAK = "Planted Leak"


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00said: Planted Leak.",
        b"PLANTED LEAK",
        json.dumps({"name": "planted leak"}).encode(),
        *(
            base64.b64encode(b"." * before + b"Planted Leak" + b"." * after)
            for before in range(4)
            for after in range(4)
        ),
        base64.urlsafe_b64encode(b"\xff\xfe Planted Leak"),
        b"x" + LEAK.encode().hex().encode(),
    ],
)
def test_the_scan_sees_a_planted_leak(raw: bytes) -> None:
    assert found([("here", b"nothing"), ("there", raw)], ["Other Words", LEAK]) == [f"there: {LEAK}"]


def test_the_scan_sees_no_leak_where_none_is() -> None:
    assert found([("here", b"Planted, a Leak"), ("there", base64.b64encode(b"Planted, a Leak"))], [LEAK]) == []
