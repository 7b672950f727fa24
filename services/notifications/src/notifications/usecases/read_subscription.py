"""One subscription, without its address."""

from notifications.domain.subscription import Subscription, SubscriptionNotFound
from notifications.usecases import Unit


async def read_subscription(id_: str, unit: Unit) -> Subscription:
    """Raises SubscriptionNotFound."""
    subscription = await unit.subscriptions.get(id_)
    if subscription is None:
        raise SubscriptionNotFound("no such subscription")
    return subscription
