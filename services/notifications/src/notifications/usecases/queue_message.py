"""Something happened that people wanted to hear of: one message for each of their subscriptions."""

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json
from rapport_events.engagement import ContactLogged, PromiseBroken, ReplyPublished
from rapport_events.event import Event
from rapport_events.measures import VerdictChanged

from notifications.domain.message import Message, message_id, milliseconds
from notifications.domain.subscription import UNREADABLE, Subscription, audience
from notifications.domain.template import TEMPLATES
from notifications.usecases import Unit

Told = VerdictChanged | ReplyPublished | PromiseBroken | ContactLogged

FACTS: Mapping[type[Event], tuple[str, ...]] = {
    VerdictChanged: (
        "measure_id",
        "subject_key",
        "wave_id",
        "ordinal",
        "verdict",
        "previous",
        "severity",
        "provisional",
        "share",
        "base",
        "definition_version",
        "settings_version",
    ),
    ReplyPublished: ("exercise_id", "title", "reply", "published_on"),
    PromiseBroken: ("exercise_id", "title", "reply_due", "broken_on", "decision_maker"),
    ContactLogged: ("contact_id", "region", "level", "nature", "mode", "method", "exercise_id", "held_on"),
}
"""What a subscriber may be told of each kind of event: never who took part, never notes."""

PARTICIPANTS: Mapping[type[Event], str] = {ReplyPublished: "participants", ContactLogged: "stakeholder_ids"}
"""Where an event names those who took part, who hear of it whatever they asked for."""


async def queue_message(event: Told, unit: Unit) -> None:
    """Queues what is not queued yet: an event that is applied again finds its messages there."""
    cause = unit.consumed
    if cause is None:
        raise RuntimeError("a message tells of an event, and none is being consumed")
    subscriptions = await _audience(event, unit)
    if not subscriptions:
        return
    facts = await _facts(event, unit)
    synthetic = await _synthetic(event, unit)
    template = TEMPLATES[event.family]
    ids = {message_id(cause.id, subscription.id): subscription for subscription in subscriptions}
    queued = {message.id for message in await unit.messages.find({"id": {"in": list(ids)}})}
    for id_, subscription in ids.items():
        if id_ in queued:
            continue
        # Under a key that is gone nothing can be sealed; the gate suppresses the message in its turn.
        readable = subscription.address not in (None, UNREADABLE)
        now = milliseconds(unit.now)
        unit.messages.add(
            Message(
                id=id_,
                subscription_id=subscription.id,
                stakeholder_id=subscription.stakeholder_id,
                recipient=subscription.recipient,
                channel=subscription.channel,
                cause=cause.id,
                cause_type=event.type,
                event_type=event.family,
                occurred_at=cause.time,
                template=template.name,
                template_version=template.version,
                facts=facts if readable else None,
                synthetic=synthetic,
                queued=now,
                due=now,
                trace=cause.traceparent,
            )
        )


async def _audience(event: Told, unit: Unit) -> list[Subscription]:
    wanting = await unit.subscriptions.find({"event_types": event.family, "state": "active"})
    named = PARTICIPANTS.get(type(event))
    participants: tuple[str, ...] = getattr(event, named) if named else ()
    if not participants:
        return audience(wanting, ())
    taking_part = {"stakeholder_id": {"in": list(participants)}, "state": "active"}
    return audience(wanting, await unit.subscriptions.find(taking_part))


async def _facts(event: Told, unit: Unit) -> str:
    """JSON of what may be told, sealed words opened; they are sealed again under each recipient."""
    names = FACTS[type(event)]
    facts: dict[str, Any] = event.model_dump(mode="json", include=set(names) - set(event.sealed))
    for path, sealed in event.sealed_fields():
        if path in names:
            facts[path] = await unit.reveal(sealed, path)
    return to_json({name: facts[name] for name in names if name in facts}).decode()


async def _synthetic(event: Told, unit: Unit) -> bool:
    if isinstance(event, VerdictChanged | ContactLogged):
        return event.synthetic
    exercise = await unit.exercises.get(event.exercise_id)
    return exercise is not None and exercise.synthetic
