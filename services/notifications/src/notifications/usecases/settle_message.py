"""What became of an attempt: sent, refused for good, or to be tried again."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field
from rapport_events.notifications import MessageFailed, MessageSent, MessageSuppressed

from notifications.domain.back_off import BackOff
from notifications.domain.message import Message, MessageState
from notifications.usecases import Unit


class Outcome(StrEnum):
    SENT = "sent"
    REFUSED = "refused"
    RETRY = "retry"


class SettleMessage(BaseModel):
    """`retry_after`: seconds that the receiver asked for; `spread`: chance from 0 to 1, drawn once by the caller."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    message_id: str
    attempt: int = Field(ge=1)
    outcome: Outcome
    back_off: BackOff
    reason: str | None = None
    retry_after: float | None = Field(default=None, ge=0)
    spread: float = Field(default=0.5, ge=0, le=1)


async def settle_message(command: SettleMessage, unit: Unit) -> Message | None:
    """The message afterwards; None where the attempt lost its lease, and the message belongs to a later one."""
    message = await unit.messages.get(command.message_id)
    if message is None or not message.sending(command.attempt):
        return None
    reason = command.reason or command.outcome
    if command.outcome is Outcome.SENT:
        finish(message, MessageState.SENT, None, unit)
    elif command.outcome is Outcome.REFUSED or message.attempts >= command.back_off.attempts:
        finish(message, MessageState.FAILED, reason, unit)
    else:
        pause = command.back_off.pause(message.attempts, command.spread, command.retry_after)
        message.try_again(unit.now, pause, reason)
        unit.messages.save(message)
    return message


def finish(message: Message, state: MessageState, reason: str | None, unit: Unit) -> None:
    """A final state and its receipt, in this unit."""
    message.settle(state, unit.now, reason)
    unit.messages.save(message)
    facts = {
        "message_id": message.id,
        "subscription_id": message.subscription_id,
        "stakeholder_id": message.stakeholder_id,
        "cause": message.cause,
        "cause_type": message.cause_type,
        "channel": message.channel,
        "template": message.template,
        "template_version": message.template_version,
    }
    if state is MessageState.SENT:
        unit.emit(MessageSent(**facts, attempts=message.attempts, sent_at=unit.now))
    elif state is MessageState.FAILED:
        unit.emit(MessageFailed(**facts, attempts=message.attempts, failed_at=unit.now, reason=str(reason)))
    else:
        unit.emit(MessageSuppressed(**facts, suppressed_at=unit.now, reason=str(reason)))
