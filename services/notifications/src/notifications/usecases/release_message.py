"""The last step before a message leaves: consent is asked here, from our own copy, and nowhere earlier."""

from pydantic import BaseModel, ConfigDict

from notifications.domain.gate import Withheld, withheld
from notifications.domain.message import Letter, MessageState
from notifications.domain.subscription import UNREADABLE
from notifications.usecases import Unit
from notifications.usecases.settle_message import finish


class ReleaseMessage(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    message_id: str
    attempt: int


async def release_message(command: ReleaseMessage, unit: Unit) -> Letter | None:
    """What to send now; None where the message was suppressed, or the attempt lost its lease."""
    message = await unit.messages.get(command.message_id)
    if message is None or not message.sending(command.attempt):
        return None
    subscription = await unit.subscriptions.get(message.subscription_id)
    consents = await unit.consents.get(message.stakeholder_id) if message.stakeholder_id is not None else None
    reason = Withheld.ERASED if message.facts == UNREADABLE else withheld(subscription, consents)
    if reason or not subscription or subscription.address is None or message.facts is None:
        finish(message, MessageState.SUPPRESSED, reason or Withheld.ERASED, unit)
        return None
    return Letter(
        id=message.id,
        attempt=message.attempts,
        channel=message.channel,
        event_type=message.event_type,
        cause=message.cause,
        occurred_at=message.occurred_at,
        synthetic=message.synthetic,
        address=subscription.address,
        secret=subscription.secret,
        facts=message.facts,
    )
