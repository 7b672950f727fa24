"""What people were told: events of subscriptions and messages."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from rapport_events.event import Event
from rapport_events.fields import Id

SubscriptionId = Annotated[Id, Field(description="Subscription")]
Subscriber = Annotated[str | None, Field(description="Stakeholder who subscribed; absent: somebody not registered")]
EventTypes = Annotated[tuple[str, ...], Field(description="Kinds of event the subscriber wants to hear of")]
ChannelCode = Annotated[str, Field(description="email, webhook …")]


class SuppressedBecause(StrEnum):
    NO_CONSENT = "no-consent"
    ERASED = "erased"
    UNSUBSCRIBED = "unsubscribed"


class Subscribed(Event):
    """Somebody wants to hear of some kinds of event."""

    type = "notifications.subscription.subscribed.v1"
    key = "subscription_id"

    subscription_id: SubscriptionId
    stakeholder_id: Subscriber = None
    event_types: EventTypes
    channel: ChannelCode


class Unsubscribed(Event):
    """Somebody no longer wants to hear."""

    type = "notifications.subscription.unsubscribed.v1"
    key = "subscription_id"

    subscription_id: SubscriptionId
    stakeholder_id: Subscriber = None
    event_types: EventTypes
    channel: ChannelCode


class MessageFacts(Event):
    """What every final state of a message tells: to whom, because of what, and how."""

    message_id: Annotated[Id, Field(description="Message")]
    subscription_id: SubscriptionId
    stakeholder_id: Subscriber = None
    cause: Annotated[str, Field(description="Id of the event it tells of")]
    cause_type: Annotated[str, Field(description="Type of the event it tells of")]
    channel: ChannelCode
    template: Annotated[str, Field(description="Template it was written with")]
    template_version: Annotated[int, Field(ge=1, description="Version of the template")]


class MessageSent(MessageFacts):
    """A message was accepted by the receiving side."""

    type = "notifications.message.sent.v1"
    key = "message_id"

    attempts: Annotated[int, Field(ge=1, description="Attempts it took")]
    sent_at: Annotated[datetime, Field(description="When it was accepted")]


class MessageFailed(MessageFacts):
    """A message could not be delivered and will not be tried again."""

    type = "notifications.message.failed.v1"
    key = "message_id"

    attempts: Annotated[int, Field(ge=1, description="Attempts made")]
    failed_at: Annotated[datetime, Field(description="When it was given up")]
    reason: Annotated[str, Field(description="Code of why, such as rejected, unreachable, expired")]


class MessageSuppressed(MessageFacts):
    """A message was withheld, because its receiver must not or no longer be told."""

    type = "notifications.message.suppressed.v1"
    key = "message_id"

    suppressed_at: Annotated[datetime, Field(description="When it was withheld")]
    reason: Annotated[str, Field(description="Code of why: no-consent, erased, unsubscribed")]
