"""A message that would be one too many for its recipient waits until it is not."""

from pydantic import BaseModel, ConfigDict, Field

from notifications.usecases import Unit

TOO_MANY = "too-many"
"""Why it waits."""


class PutOffMessage(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    message_id: str
    attempt: int = Field(ge=1)
    seconds: float = Field(gt=0)


async def put_off_message(command: PutOffMessage, unit: Unit) -> None:
    """Nothing where the attempt lost its lease."""
    message = await unit.messages.get(command.message_id)
    if message is not None and message.sending(command.attempt):
        message.put_off(unit.now, command.seconds, TOO_MANY)
        unit.messages.save(message)
