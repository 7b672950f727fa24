"""Read the reference data everything is coded with."""

from rapport_ports import Command

from registry.domain.reference import Reference, reference
from registry.usecases import Unit


class ReadReference(Command):
    """There is nothing to ask but the whole."""


async def read_reference(_question: ReadReference, _unit: Unit) -> Reference:
    return reference()
