"""Finish a projection that was made anew from the events: keep what no event tells, and tell what is another now."""

from measures.domain.measure import says_something_else
from measures.usecases import Unit
from measures.usecases.judge_touched import judge_everything, tell


async def finish_rebuilt(rebuilt: Unit, old: Unit) -> None:
    """Settings may have changed while events were applied: everything is judged by those in force.

    Only the old projection knows what was said under earlier settings and definitions, when something was counted, and
    how many people were known when a wave was heard to be closed: events of two topics have no common order. A figure
    that is another one now has a time of its own.
    """
    frozen = {wave.id: wave.counted for wave in await old.waves.find({"is_open": False})}
    for wave in await rebuilt.waves.find({"is_open": False}):
        wave.counted = frozen.get(wave.id, wave.counted)
        rebuilt.waves.save(wave)
    history = await rebuilt.settings.get("settings")
    if history is not None:
        await judge_everything(await rebuilt.measures.find({}, sort="position"), history.current, rebuilt)
    known = {figure.id: figure for figure in await old.figures.find({})}
    for id_, before in known.items():
        figure = await rebuilt.figures.get(id_)
        if figure is None:
            continue
        figure.superseded = before.judged_again(figure.judgement)
        if (before.judgement, before.cells, before.everyone) == (figure.judgement, figure.cells, figure.everyone):
            figure.as_of, figure.changed_at = before.as_of, before.changed_at
        rebuilt.figures.save(figure)
    counted = {intake.id: intake for intake in await old.intakes.find({})}
    for intake in await rebuilt.intakes.find({}):
        earlier = counted.get(intake.id)
        if earlier is not None and earlier.responses == intake.responses:
            intake.as_of = earlier.as_of
            rebuilt.intakes.save(intake)


async def announce_rebuilt(rebuilt: Unit, old: Unit) -> None:
    """Tell of every verdict that is another one than the world heard of."""
    known = {figure.id: figure.judgement for figure in await old.figures.find({})}
    for figure in await rebuilt.figures.find({}):
        before = known.get(figure.id)
        if says_something_else(before, figure.judgement):
            await tell(figure, before, rebuilt)
