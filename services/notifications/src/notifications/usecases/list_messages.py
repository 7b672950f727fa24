"""Messages and what became of them, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass

from notifications.domain.message import Message, MessageState
from notifications.usecases import Unit


@dataclass(frozen=True, slots=True)
class ListMessages:
    """`after` is the place of the last message seen: (queued, id)."""

    state: MessageState | None = None
    subscription: str | None = None
    after: Sequence[object] | None = None
    limit: int = 50


async def list_messages(question: ListMessages, unit: Unit) -> list[Message]:
    where = {"state": question.state, "subscription_id": question.subscription}
    return await unit.messages.find(
        {name: str(value) for name, value in where.items() if value is not None},
        sort="queued",
        descending=True,
        after=question.after,
        limit=question.limit,
    )
