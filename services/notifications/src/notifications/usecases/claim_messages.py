"""A worker takes the messages that are due, under a lease that outlives any attempt."""

from pydantic import BaseModel, ConfigDict, Field

from notifications.domain.message import Message, MessageState, milliseconds
from notifications.domain.template import TEMPLATES
from notifications.usecases import Unit
from notifications.usecases.settle_message import finish

NO_ANSWER = "no-answer"
"""Why a message failed whose attempts all ended without an outcome: its worker died each time."""


class ClaimMessages(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    limit: int = Field(ge=1)
    lease_seconds: float = Field(gt=0)
    attempts: int = Field(ge=1, description="Most attempts of one message")


async def claim_messages(command: ClaimMessages, unit: Unit) -> list[Message]:
    """Those taken, oldest due first; two workers that take the same lose one round, never a message.

    A message whose lease has run out is taken again: its outcome is unknown, and the same id lets the receiver drop it.
    """
    due = await unit.messages.find({"due": {"lte": milliseconds(unit.now)}}, sort="due", limit=command.limit)
    taken = []
    for message in due:
        if message.state is MessageState.SENDING and message.attempts >= command.attempts:
            finish(message, MessageState.FAILED, NO_ANSWER, unit)
            continue
        message.claim(unit.now, command.lease_seconds, TEMPLATES[message.event_type].version)
        unit.messages.save(message)
        taken.append(message)
    return taken
