"""The last question before a message leaves: may this subscriber be told, here and now?"""

from enum import StrEnum

from notifications.domain.consent import UPDATES, Consents
from notifications.domain.subscription import UNREADABLE, Subscription, SubscriptionState


class Withheld(StrEnum):
    """Why a message is not sent."""

    NO_CONSENT = "no-consent"
    ERASED = "erased"
    UNSUBSCRIBED = "unsubscribed"


def withheld(subscription: Subscription | None, consents: Consents | None) -> Withheld | None:
    """None where the message may leave. `consents` are those of the subscription's stakeholder, if it has one.

    Subscribers outside the registry (staff, systems) subscribed for themselves: their subscription is their consent.
    """
    if subscription is None:
        return Withheld.UNSUBSCRIBED
    if (
        subscription.state is SubscriptionState.ERASED
        or subscription.address == UNREADABLE
        or (consents is not None and consents.erased)
    ):
        return Withheld.ERASED
    if not subscription.active or subscription.address is None:
        return Withheld.UNSUBSCRIBED
    if subscription.stakeholder_id is not None and (
        consents is None or not consents.allows(UPDATES, subscription.channel)
    ):
        return Withheld.NO_CONSENT
    return None
