"""List the instruments."""

from pydantic import Field
from rapport_ports import Command

from feedback.domain.instrument import Instrument
from feedback.usecases import Unit


class ListInstruments(Command):
    after: tuple[str, ...] | None = None
    limit: int = Field(ge=1)


async def list_instruments(question: ListInstruments, unit: Unit) -> list[Instrument]:
    """In the order in which they were first published; one more than `limit` where there are more."""
    return await unit.instruments.find({}, after=question.after, limit=question.limit + 1)
