"""Subscriptions, in the order they were made."""

from collections.abc import Sequence
from dataclasses import dataclass

from notifications.domain.subscription import Subscription, SubscriptionState
from notifications.usecases import Unit


@dataclass(frozen=True, slots=True)
class ListSubscriptions:
    """`after` is the place of the last subscription seen: (id,)."""

    state: SubscriptionState | None = None
    stakeholder: str | None = None
    after: Sequence[object] | None = None
    limit: int = 50


async def list_subscriptions(question: ListSubscriptions, unit: Unit) -> list[Subscription]:
    where = {"state": question.state, "stakeholder_id": question.stakeholder}
    return await unit.subscriptions.find(
        {name: str(value) for name, value in where.items() if value is not None},
        after=question.after,
        limit=question.limit,
    )
