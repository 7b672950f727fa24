"""List waves."""

from pydantic import Field
from rapport_ports import Command

from feedback.domain.wave import Wave, WaveState
from feedback.usecases import Code, Unit


class ListWaves(Command):
    instrument_code: Code | None = None
    state: WaveState | None = None
    after: tuple[str, ...] | None = None
    limit: int = Field(ge=1)


async def list_waves(question: ListWaves, unit: Unit) -> list[Wave]:
    """In the order in which they were opened; one more than `limit` where there are more."""
    where = {
        name: value
        for name, value in (
            ("instrument_code", question.instrument_code),
            ("state", question.state and question.state.value),
        )
        if value is not None
    }
    return await unit.waves.find(where, after=question.after, limit=question.limit + 1)
