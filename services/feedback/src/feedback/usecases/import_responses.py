"""Import many responses: a chunk of a stream in one go, each row answered for itself."""

from dataclasses import dataclass
from enum import StrEnum

from rapport_ports import Command, OutOfReach

from feedback.domain.instrument import Edition
from feedback.domain.respondent import AnsweredTooOften, Respondent
from feedback.domain.response import DayOutsideField, ReferenceReused, Response, ResponseInvalid, StakeholderErased
from feedback.domain.wave import Wave
from feedback.usecases import Id, Reference, Unit
from feedback.usecases.read_wave import ReadWave, read_wave
from feedback.usecases.submit_response import Submission, accept, check_repeated, id_of, make_response

REJECTED = (ResponseInvalid, DayOutsideField, ReferenceReused, StakeholderErased, AnsweredTooOften, OutOfReach)
"""What is wrong with one row, and with no other."""


class Row(Submission):
    """A submission whose reference is needed: it is what makes a stream safe to send again."""

    reference: Reference


class ImportResponses(Command):
    wave_id: Id
    rows: tuple[Row, ...]


class Fate(StrEnum):
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a row."""

    fate: Fate
    response: Response | None = None
    error: Exception | None = None


async def check_importable(question: ReadWave, unit: Unit) -> Wave:
    """The wave, before a stream is read for it. Raises WaveNotFound, WaveIsClosed."""
    wave = await read_wave(question, unit)
    wave.check_open()
    return wave


async def import_responses(command: ImportResponses, unit: Unit) -> list[Imported]:
    """One fate per row, in order. Raises WaveNotFound, WaveIsClosed for all of them.

    What exists already is found by one query for all rows; one that another request adds meanwhile makes the commit a
    conflict, and the chunk is run again.
    """
    wave = await check_importable(ReadWave(wave_id=command.wave_id), unit)
    edition = await unit.edition(wave.instrument_id, wave.instrument_version)
    ids = [id_of(wave, row.reference, unit) for row in command.rows]
    known = {response.id: response for response in await unit.responses.find({"id": {"in": ids}})}
    names = {row.stakeholder_id for row in command.rows if row.stakeholder_id is not None}
    respondents = (
        {found.id: found for found in await unit.respondents.find({"id": {"in": sorted(names)}})} if names else {}
    )
    return [
        _import(id_, row, wave, edition, known, respondents, unit) for id_, row in zip(ids, command.rows, strict=True)
    ]


def _import(
    id_: str,
    row: Row,
    wave: Wave,
    edition: Edition,
    known: dict[str, Response],
    respondents: dict[str, Respondent],
    unit: Unit,
) -> Imported:
    try:
        response = make_response(id_, row, wave, edition, unit)
        if id_ in known:
            return Imported(Fate.DUPLICATE, check_repeated(response, known[id_]))
        respondent = None
        if (name := row.stakeholder_id) is not None:
            respondent = respondents.setdefault(name, Respondent(id=name))
        accept(response, wave, respondent, unit)
    except REJECTED as error:
        return Imported(Fate.REJECTED, error=error)
    known[id_] = response
    return Imported(Fate.ACCEPTED, response)
