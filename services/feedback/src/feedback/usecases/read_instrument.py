"""Read an instrument by its code."""

from feedback.domain.instrument import Instrument, InstrumentNotFound
from feedback.usecases import Code, Command, Unit


class ReadInstrument(Command):
    code: Code


async def read_instrument(question: ReadInstrument, unit: Unit) -> Instrument:
    """All its versions. Raises InstrumentNotFound."""
    found = await unit.instruments.find({"code": question.code}, limit=1)
    if not found:
        raise InstrumentNotFound("no instrument has this code")
    return found[0]
