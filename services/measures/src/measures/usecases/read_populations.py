"""Read how many could be asked."""

from measures.domain.population import Populations
from measures.usecases import Unit


async def read_populations(_: None, unit: Unit) -> list[Populations]:
    """The registry's counts, real and synthetic apart."""
    return await unit.populations.find({})
