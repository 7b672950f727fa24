"""Keep the receipt of a message about something that happened here."""

from rapport_events.notifications import MessageFailed, MessageSent, MessageSuppressed

from engagement.domain.receipt import Outcome, Receipt
from engagement.usecases import Unit

OURS = "engagement."
"""Messages about other contexts' events are no business of this one."""


async def note_told(event: MessageSent | MessageFailed | MessageSuppressed, unit: Unit) -> None:
    """Receipts are kept by message and found by their cause: no order between the two is needed. The first end counts."""
    if not event.cause_type.startswith(OURS) or await unit.receipts.get(event.message_id) is not None:
        return
    match event:
        case MessageSent():
            outcome, reason, at = Outcome.SENT, None, event.sent_at
        case MessageFailed():
            outcome, reason, at = Outcome.FAILED, event.reason, event.failed_at
        case MessageSuppressed():
            outcome, reason, at = Outcome.SUPPRESSED, event.reason, event.suppressed_at
    unit.receipts.add(
        Receipt(
            id=event.message_id,
            cause=event.cause,
            cause_type=event.cause_type,
            stakeholder_id=event.stakeholder_id,
            channel=event.channel,
            outcome=outcome,
            reason=reason,
            at=at,
        ),
    )
