"""Somebody no longer wants to hear."""

from rapport_events.notifications import Unsubscribed

from notifications.domain.subscription import Subscription, SubscriptionNotFound, SubscriptionState
from notifications.usecases import Unit


async def unsubscribe(id_: str, unit: Unit) -> None:
    """End a subscription; its address is forgotten, what still waits to be sent is suppressed when its turn comes.

    Ending it twice is ending it once. Raises SubscriptionNotFound.
    """
    subscription = await unit.subscriptions.get(id_)
    if subscription is None:
        raise SubscriptionNotFound("no such subscription")
    end(subscription, SubscriptionState.UNSUBSCRIBED, unit)


def end(subscription: Subscription, state: SubscriptionState, unit: Unit) -> None:
    """Ends it in this unit and tells; nothing where it had ended before."""
    if not subscription.end(state, unit.now):
        return
    unit.subscriptions.save(subscription)
    unit.emit(
        Unsubscribed(
            subscription_id=subscription.id,
            stakeholder_id=subscription.stakeholder_id,
            event_types=subscription.event_types,
            channel=subscription.channel,
        )
    )
