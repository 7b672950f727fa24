"""List contacts, newest first."""

from pydantic import Field
from rapport_ports import Command

from engagement.domain.contact import Contact
from engagement.domain.participation import Level, Mode, Nature
from engagement.usecases import Code, Id, Unit


class ListContacts(Command):
    """All that is named must fit."""

    participant: Id | None = None
    region: Code | None = None
    level: Level | None = None
    nature: Nature | None = None
    mode: Mode | None = None
    exercise_id: Id | None = None
    activity_id: Id | None = None
    before: tuple[str, ...] | None = Field(default=None, description="Where the page before ended")
    limit: int = Field(default=50, ge=1)


async def list_contacts(question: ListContacts, unit: Unit) -> list[Contact]:
    where = question.model_dump(exclude_none=True, exclude={"participant", "before", "limit"})
    if question.participant is not None:
        where["participants"] = question.participant
    return await unit.contacts.find(where, descending=True, after=question.before, limit=question.limit)
