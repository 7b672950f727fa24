"""Who wants to hear of what, where. An address goes in and is never shown again."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

UNREADABLE = "erased"
"""What a sealed field reads as once the key of its subject is gone."""


class SubscriptionNotFound(LookupError):
    """There is no such subscription."""


class SubscriberErased(ValueError):
    """The stakeholder was erased and cannot be subscribed any more."""


class SubscriptionState(StrEnum):
    ACTIVE = "active"
    UNSUBSCRIBED = "unsubscribed"
    ERASED = "erased"


@dataclass(slots=True, kw_only=True)
class Subscription:
    """`event_types` are without version; `recipient` is the subject whose key seals address, secret and messages:
    the stakeholder, or the subscription itself where the subscriber is not in the registry (staff, systems)."""

    id: str
    recipient: str
    stakeholder_id: str | None = None
    event_types: tuple[str, ...]
    channel: str
    address: str | None
    secret: str | None = None
    state: SubscriptionState = SubscriptionState.ACTIVE
    subscribed_at: datetime
    ended_at: datetime | None = None
    version: int = 0

    @property
    def active(self) -> bool:
        return self.state is SubscriptionState.ACTIVE

    def end(self, state: SubscriptionState, now: datetime) -> bool:
        """No more messages, and nothing kept to send them to. False where it had ended before."""
        if not self.active:
            return False
        self.state = state
        self.ended_at = now
        self.address = self.secret = None
        return True


def audience(wanting: Iterable[Subscription], of_participants: Iterable[Subscription]) -> list[Subscription]:
    """Whose messages an event makes: everyone who asked for this kind, and whoever took part and is subscribed at all.

    Who took part without asking for this kind hears once on each channel, through the oldest subscription, and not at
    all on a channel where the same stakeholder did ask.
    """
    told = [subscription for subscription in wanting if subscription.active]
    reached = {(s.stakeholder_id, s.channel) for s in told}
    for subscription in sorted(of_participants, key=lambda s: (s.subscribed_at, s.id)):
        place = (subscription.stakeholder_id, subscription.channel)
        if subscription.active and place not in reached:
            reached.add(place)
            told.append(subscription)
    return told
