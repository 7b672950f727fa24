"""Submit one response."""

import secrets
from decimal import Decimal
from typing import Annotated

from pydantic import Field, StringConstraints
from rapport_events.event import Sealed
from rapport_events.feedback import ResponseReceived
from rapport_ports import Command, Day

from feedback.domain.instrument import Edition
from feedback.domain.respondent import Respondent
from feedback.domain.response import (
    WEIGHT_MAX,
    ReferenceReused,
    Response,
    check_fits,
    day_in_field,
    response_id,
    response_id_of,
    weight_of,
)
from feedback.domain.wave import Wave
from feedback.usecases import Code, Codes, Id, Reference, Unit
from feedback.usecases.read_wave import ReadWave, read_wave

Weight = Annotated[Decimal, Field(strict=False, ge=Decimal("0.0001"), le=WEIGHT_MAX, decimal_places=4)]
Comment = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4_000)]


class Submission(Command):
    """A response as it comes in. Without `stakeholder_id` it is anonymous: nothing leads from it to a person."""

    answers: dict[Code, Code] = Field(min_length=1, max_length=200, description="Answer code per question code")
    groups: Codes = Field(default=(), max_length=50)
    region: Code | None = None
    weight: Weight | None = Field(default=None, description="Of a weighted survey; without it a response counts once")
    day: Day | None = Field(default=None, description="The day it was given, if that is not today (UTC)")
    stakeholder_id: Id | None = Field(default=None, description="Who answered, if not anonymous")
    comment: Comment | None = Field(default=None, description="Own words; sealed at rest and on the wire")
    reference: Reference | None = Field(
        default=None, description="The collector's own id of it: sent again, it is the same response. Not kept"
    )


class SubmitResponse(Command):
    wave_id: Id
    submission: Submission


async def submit_response(command: SubmitResponse, unit: Unit) -> Response:
    """The response, or the one that came before it under the same reference.

    Raises WaveNotFound, WaveIsClosed, ResponseInvalid, DayOutsideField, ReferenceReused, StakeholderErased,
    AnsweredTooOften, OutOfReach.
    """
    wave = await read_wave(ReadWave(wave_id=command.wave_id), unit)
    wave.check_open()
    submission = command.submission
    edition = await unit.edition(wave.instrument_id, wave.instrument_version)
    id_ = id_of(wave, submission.reference, unit)
    response = make_response(id_, submission, wave, edition, unit)
    if submission.reference is not None:
        earlier = await unit.responses.get(id_)
        if earlier is not None:
            return check_repeated(response, earlier)
    respondent = None
    if (name := submission.stakeholder_id) is not None:
        respondent = await unit.respondents.get(name) or Respondent(id=name)
    accept(response, wave, respondent, unit)
    return response


def id_of(wave: Wave, reference: str | None, unit: Unit) -> str:
    """A response's id never tells a time: random, or a keyed hash of the collector's reference."""
    if reference is None:
        return response_id(secrets.token_bytes(16))
    return response_id_of(unit.blind(f"response\x00{wave.id}\x00{reference}"))


def make_response(id_: str, submission: Submission, wave: Wave, edition: Edition, unit: Unit) -> Response:
    """Raises ResponseInvalid, DayOutsideField."""
    check_fits(
        edition,
        answers=submission.answers,
        groups=submission.groups,
        region=submission.region,
        weight=submission.weight,
    )
    return Response(
        id=id_,
        wave_id=wave.id,
        answers=dict(submission.answers),
        groups=submission.groups,
        region=submission.region,
        weight=weight_of(submission.weight),
        day=day_in_field(wave, submission.day, unit.now.date()),
        stakeholder_id=submission.stakeholder_id,
        subject=submission.stakeholder_id or id_,
        comment=submission.comment,
        synthetic=wave.synthetic,
    )


def check_repeated(response: Response, earlier: Response) -> Response:
    """The earlier one. Raises ReferenceReused."""
    if not response.says_the_same(earlier):
        raise ReferenceReused("this reference stands for a response that says something else")
    return earlier


def accept(response: Response, wave: Wave, respondent: Respondent | None, unit: Unit) -> None:
    """Keep the response and tell of it, with no time finer than the day.

    Raises StakeholderErased, AnsweredTooOften, OutOfReach.

    All responses are told that way, also those under a name: standing between two events with a fine time would tell
    the time of an anonymous one. Only who gave a name can be followed by a trace.
    """
    if respondent is not None:
        respondent.answer(unit.now)
    unit.responses.add(response)
    if respondent is not None:
        (unit.respondents.save if respondent.version else unit.respondents.add)(respondent)
    response.event_id = unit.emit(
        ResponseReceived(
            response_id=response.id,
            wave_id=response.wave_id,
            instrument_code=wave.instrument_code,
            answers=response.answers,
            groups=response.groups,
            region=response.region,
            weight=response.weight,
            day=response.day,
            stakeholder_id=response.stakeholder_id,
            comment=Sealed.of(response.subject, response.comment) if response.comment is not None else None,
            synthetic=response.synthetic,
        ),
        coarse=True,
        traced=response.stakeholder_id is not None,
    )
