"""Read an instrument by its code."""

from rapport_ports import Command

from feedback.domain.instrument import Instrument, InstrumentNotFound
from feedback.usecases import Code, Unit


class ReadInstrument(Command):
    code: Code


async def read_instrument(question: ReadInstrument, unit: Unit) -> Instrument:
    """All its versions. Raises InstrumentNotFound."""
    found = await unit.instruments.find({"code": question.code}, limit=1)
    if not found:
        raise InstrumentNotFound("no instrument has this code")
    return found[0]
