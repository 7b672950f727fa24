"""What people read: complete, labelled, and inert whatever an event says."""

import json
from dataclasses import replace
from pathlib import Path

import notifications.templates
import pytest
from notifications.contract import CONSUMES
from notifications.domain.message import Letter
from notifications.domain.template import TEMPLATES
from notifications.templates import render
from notifications.usecases.queue_message import FACTS, queue_message
from rapport_events.event import Event

from services.notifications.tests.house import NOW, VERDICTS, House, broken, contact, opened, reply, verdict

ATTACKS = [
    "{{7*7}}",
    "{% for x in ().__class__.__base__.__subclasses__() %}x{% endfor %}",
    "((name))",
    "<script>x</script>",
]


async def letter_for(house: House, event: Event, **changes) -> Letter:
    """The letter that a subscriber to this kind of event would get."""
    await house.subscribe("a@example.org", event.family)
    await house.hear(event)
    (message,) = await house.messages()
    letter = Letter(
        id=message.id,
        attempt=1,
        channel="email",
        event_type=message.event_type,
        cause=message.cause,
        occurred_at=NOW,
        synthetic=message.synthetic,
        address="a@example.org",
        secret=None,
        facts=message.facts,
    )
    return replace(letter, **changes)


def test_each_kind_has_a_template_facts_and_a_consumer():
    folder = Path(notifications.templates.__file__).parent
    assert {path.stem for path in folder.glob("*.txt")} == set(TEMPLATES)
    assert {event.family for event in FACTS} == set(TEMPLATES)
    assert {event for event, use_case in CONSUMES.items() if use_case is queue_message} == set(FACTS)


async def test_a_verdict_on_an_open_wave_is_provisional(house: House):
    rendered = render(await letter_for(house, verdict(severity="amber", subject_key="north")))
    assert rendered.subject == "PPT-1a (north): not met (provisional)"
    assert "45.7 % of 812 answers" in rendered.text
    assert "not met, amber\nBefore:   cannot tell\n" in rendered.text
    assert "This is provisional" in rendered.text
    assert "SYNTHETIC" not in rendered.subject + rendered.text


async def test_a_verdict_on_a_closed_wave_is_not(house: House):
    rendered = render(
        await letter_for(house, verdict(provisional=False, verdict="suppressed", previous=None, share=None))
    )
    assert rendered.subject == "PPT-1a: suppressed"
    assert "provisional" not in rendered.text
    assert "Figure:   not shown" in rendered.text
    assert "Before" not in rendered.text


async def test_synthetic_is_said_in_subject_and_text(house: House):
    rendered = render(await letter_for(house, verdict(synthetic=True)))
    assert rendered.subject.startswith("[SYNTHETIC] ")
    assert rendered.text.startswith("SYNTHETIC DATA")


async def test_the_reply_to_a_synthetic_exercise_is_synthetic(house: House):
    await house.hear(opened(synthetic=True))
    rendered = render(await letter_for(house, reply()))
    assert rendered.subject == "[SYNTHETIC] Reply published: Safer streets"
    assert "We will do it." in rendered.text


async def test_a_broken_promise_says_who_decides(house: House):
    rendered = render(await letter_for(house, broken()))
    assert rendered.subject == "Promise broken: Safer streets"
    assert "Decision maker: chief officer." in rendered.text


async def test_a_contact_tells_no_notes_and_nobody(house: House):
    letter = await letter_for(house, contact("somebody-1"))
    rendered = render(letter)
    assert "citizen jury" in rendered.text
    assert "Region" not in rendered.text
    for text in (letter.facts, rendered.subject, rendered.text):
        assert "Nobody outside" not in text
        assert "somebody-1" not in text


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.catalogue("B34")
async def test_what_people_write_is_never_a_template(house: House, attack: str):
    rendered = render(await letter_for(house, reply(title=attack, words=attack)))
    assert attack in rendered.subject
    assert f"\n{attack}\n" in rendered.text


async def test_a_subject_stays_one_line_of_visible_text(house: House):
    rendered = render(
        await letter_for(house, reply(title="Safer\r\nBcc: x@example.org\x00\x1b[31m \u202eabc " + "y" * 500))
    )
    assert rendered.subject.startswith("Reply published: Safer Bcc: x@example.org[31m abc y")
    assert len(rendered.subject) == 200


async def test_every_verdict_there_may_be_is_written(house: House):
    letter = await letter_for(house, verdict())
    for code in ("met", "no_baseline", "series_broken", "one_nobody_knows_yet"):
        facts = {**json.loads(letter.facts), "verdict": code, "ordinal": 0}
        rendered = render(replace(letter, event_type=VERDICTS, facts=json.dumps(facts)))
        assert code.replace("_", " ") in rendered.subject
        assert "(baseline)" in rendered.text
