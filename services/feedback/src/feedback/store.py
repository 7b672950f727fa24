"""What feedback keeps, and where."""

from collections import OrderedDict
from typing import ClassVar

from rapport_chassis.documents import Index
from rapport_chassis.repository import repository
from rapport_chassis.unit_of_work import UnitOfWork

from feedback import rights
from feedback.domain.exercise import Exercise
from feedback.domain.instrument import Edition, Instrument, InstrumentNotFound
from feedback.domain.respondent import Respondent
from feedback.domain.response import Response
from feedback.domain.wave import Wave

MOST_EDITIONS = 256


class Feedback(UnitOfWork):
    """The unit of work of this service."""

    instruments = repository("instruments", Instrument)
    waves = repository("waves", Wave)
    responses = repository("responses", Response, sealed=("comment",), subject="subject", reach=rights.reach)
    respondents = repository("respondents", Respondent)
    exercises = repository("exercises", Exercise)

    _editions: ClassVar[OrderedDict[tuple[str, int], Edition]] = OrderedDict()

    async def edition(self, instrument_id: str, number: int) -> Edition:
        """A published version of an instrument; it never changes, so each process keeps those it has read.

        Raises InstrumentNotFound.
        """
        known = self._editions.get((instrument_id, number))
        if known is not None:
            return known
        instrument = await self.instruments.get(instrument_id)
        if instrument is None:
            raise InstrumentNotFound("there is no such instrument")
        edition = self._editions[instrument_id, number] = instrument.edition(number)
        if len(self._editions) > MOST_EDITIONS:
            self._editions.popitem(last=False)
        return edition


INDEXES = (
    Index("instruments", ("code",), unique=True),
    Index("waves", ("instrument_id", "synthetic", "ordinal"), unique=True),
    Index("waves", ("instrument_code", "id")),
    Index("responses", ("wave_id",)),
    Index("responses", ("stakeholder_id",)),
)
