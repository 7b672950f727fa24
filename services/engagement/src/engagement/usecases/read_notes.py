"""Read the notes of a contact."""

from dataclasses import dataclass

from engagement.domain.contact import ERASED
from engagement.usecases import Unit
from engagement.usecases.read_contact import read_contact


@dataclass(frozen=True, slots=True)
class Notes:
    contact_id: str
    notes: str | None


async def read_notes(contact_id: str, unit: Unit) -> Notes:
    """ "erased" where everybody they are about was erased, from the moment we hear of it. Raises ContactNotFound."""
    contact = await read_contact(contact_id, unit)
    participants = await unit.stakeholders.find({"id": {"in": contact.participants}}, whole=True)
    gone = all(participant.erased for participant in participants)
    return Notes(contact.id, ERASED if gone and contact.notes is not None else contact.notes)
