"""Read one measure as it stands."""

from rapport_ports import Command

from measures.domain.measure import MeasureNotFound
from measures.domain.standing import Standing
from measures.usecases import Unit
from measures.usecases.list_measures import overview


class ReadMeasure(Command):
    measure: str
    synthetic: bool | None = None


async def read_measure(question: ReadMeasure, unit: Unit) -> Standing:
    """Raises MeasureNotFound."""
    measure = await unit.measures.get(question.measure)
    if measure is None:
        raise MeasureNotFound("there is no such measure; see GET /measures for those there are")
    return (await overview([measure], question.synthetic, unit)).standings[0]
