"""Read a contact."""

from engagement.domain.contact import Contact, ContactNotFound
from engagement.usecases import Unit


async def read_contact(id_: str, unit: Unit) -> Contact:
    """Raises ContactNotFound."""
    contact = await unit.contacts.get(id_)
    if contact is None:
        raise ContactNotFound("there is no such contact")
    return contact
