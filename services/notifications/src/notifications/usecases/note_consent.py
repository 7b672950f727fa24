"""The registry says what a stakeholder agrees to: keep our own copy, for the moment of sending."""

from rapport_events.registry import ConsentGranted, ConsentWithdrawn

from notifications.domain.consent import Consents
from notifications.usecases import Unit


async def note_consent(event: ConsentGranted | ConsentWithdrawn, unit: Unit) -> None:
    """Idempotent; events of one stakeholder arrive in their order, so the last word is the one that holds."""
    consents = await unit.consents.get(event.stakeholder_id)
    if consents is None:
        consents = Consents(id=event.stakeholder_id)
        unit.consents.add(consents)
    if isinstance(event, ConsentGranted):
        consents.grant(event.purpose, event.channel)
    else:
        consents.withdraw(event.purpose, event.channel)
    unit.consents.save(consents)
