"""Read a measure wave by wave."""

from rapport_ports import Command

from measures.domain.answers import ALL
from measures.domain.measure import Figure, MeasureNotFound
from measures.usecases import Unit
from measures.usecases.list_measures import kind_shown


class ReadHistory(Command):
    measure: str
    region: str | None = None
    synthetic: bool | None = None


async def read_history(question: ReadHistory, unit: Unit) -> list[Figure]:
    """Its figures from the first wave to the last, of everyone or of a region. Raises MeasureNotFound."""
    if await unit.measures.get(question.measure) is None:
        raise MeasureNotFound("there is no such measure; see GET /measures for those there are")
    where = {
        "measure": question.measure,
        "synthetic": await kind_shown(question.synthetic, unit),
        "subject_key": question.region or ALL,
    }
    return await unit.figures.find(where, sort="ordinal")
