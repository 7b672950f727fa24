"""Count a response: into the tallies of its questions, and into the evidence behind them."""

from rapport_events.feedback import ResponseReceived

from measures.domain.answers import CHUNK, Answers, Chunk, Counting, Intake, Row, answers_id, intake_id
from measures.usecases import Unit


async def fold_response(event: ResponseReceived, unit: Unit) -> None:
    """Definitions play no part, so that a new one can read what was answered before it.

    Called thousands of times over one unit: a document is read once and then changed in memory.
    """
    counting = unit.countings.get((event.wave_id, event.synthetic)) or await _counting(event, unit)
    if not event.answers.keys() <= counting.answers.keys():
        for question in event.answers.keys() - counting.answers.keys():
            counting.answers[question] = await _answers(counting.intake, question, unit)
    chunk = counting.chunk
    if chunk is None or len(chunk.rows) == CHUNK:
        chunk = counting.chunk = Chunk.of(counting.intake)
        unit.evidence.add(chunk)
    row = Row(unit.cause or "", event.answers, event.weight, event.groups, event.region)
    chunk.rows.append(row)
    counting.count(row)


async def _counting(event: ResponseReceived, unit: Unit) -> Counting:
    intake = await written_intake(event.wave_id, unit, synthetic=event.synthetic)
    intake.as_of = unit.now
    counting = unit.countings[event.wave_id, event.synthetic] = Counting(intake)
    return counting


async def written_intake(wave_id: str, unit: Unit, *, synthetic: bool) -> Intake:
    """The intake of a wave, made if there is none, and written by this unit."""
    id_ = intake_id(wave_id, synthetic=synthetic)
    intake = await unit.intakes.get(id_)
    if intake is None:
        intake = Intake(id=id_, wave_id=wave_id, synthetic=synthetic)
        unit.intakes.add(intake)
    unit.intakes.save(intake)
    return intake


async def _answers(intake: Intake, question: str, unit: Unit) -> Answers:
    id_ = answers_id(intake.id, question)
    answers = await unit.answers.get(id_)
    if answers is None:
        answers = Answers(id=id_, wave_id=intake.wave_id, synthetic=intake.synthetic, question=question)
        unit.answers.add(answers)
    unit.answers.save(answers)
    return answers
