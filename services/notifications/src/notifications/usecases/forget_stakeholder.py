"""A stakeholder was erased: no more messages, and nothing kept to send them to or with."""

from rapport_events.registry import StakeholderErased

from notifications.domain.consent import Consents
from notifications.domain.gate import Withheld
from notifications.domain.message import MessageState
from notifications.domain.subscription import SubscriptionState
from notifications.usecases import Unit
from notifications.usecases.settle_message import finish
from notifications.usecases.unsubscribe import end


async def forget_stakeholder(event: StakeholderErased, unit: Unit) -> None:
    """Idempotent. A message that is on its way at this moment meets the gate, or is settled by what came of it."""
    unit.forget(event.stakeholder_id)
    consents = await unit.consents.get(event.stakeholder_id)
    if consents is None:
        consents = Consents(id=event.stakeholder_id)
        unit.consents.add(consents)
    consents.erase()
    unit.consents.save(consents)
    for subscription in await unit.subscriptions.find({"stakeholder_id": event.stakeholder_id, "state": "active"}):
        end(subscription, SubscriptionState.ERASED, unit)
    for message in await unit.messages.find({"recipient": event.stakeholder_id, "state": "queued"}):
        if message.state is MessageState.QUEUED:
            finish(message, MessageState.SUPPRESSED, Withheld.ERASED, unit)
