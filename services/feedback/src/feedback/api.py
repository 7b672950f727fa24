"""The HTTP surface: parse, run, view."""

from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Self

from fastapi import HTTPException, Path, Request
from pydantic import BaseModel, Field
from rapport_chassis.http import (
    CursorParameter,
    IdempotencyKey,
    IfMatch,
    Limit,
    Page,
    Query,
    Response,
    Routes,
    Run,
    RunEach,
    allow,
    cursor_of,
    place_of,
)
from rapport_chassis.keyring import SubjectErased

from feedback.domain.instrument import (
    Instrument,
    InstrumentNotFound,
    QuestionOutdated,
    SyntheticMixed,
    VersionSkipped,
    VersionTaken,
    WordingChanged,
)
from feedback.domain.respondent import AnsweredTooOften
from feedback.domain.response import (
    DayOutsideField,
    ReferenceReused,
    ResponseInvalid,
    StakeholderErased,
)
from feedback.domain.response import Response as Answered
from feedback.domain.wave import ExerciseUnknown, Wave, WaveExists, WaveIsClosed, WaveNotFound, WaveState
from feedback.imports import Answers, answers, chunks, unhurried
from feedback.rows import ColumnsWrong, RowUnreadable, comma_separated, ndjson
from feedback.usecases import Code, Id
from feedback.usecases.close_wave import CloseWave, close_wave
from feedback.usecases.count_responses import Counted, count_responses
from feedback.usecases.import_responses import check_importable
from feedback.usecases.list_instruments import ListInstruments, list_instruments
from feedback.usecases.list_waves import ListWaves, list_waves
from feedback.usecases.open_wave import OpenWave, open_wave
from feedback.usecases.publish_instrument import PublishInstrument, publish_instrument
from feedback.usecases.read_instrument import ReadInstrument, read_instrument
from feedback.usecases.read_wave import ReadWave, read_wave
from feedback.usecases.submit_response import Submission, SubmitResponse, submit_response

ERRORS = {
    InstrumentNotFound: 404,
    WaveNotFound: 404,
    VersionTaken: 409,
    VersionSkipped: 409,
    WordingChanged: 409,
    QuestionOutdated: 409,
    SyntheticMixed: 409,
    WaveExists: 409,
    WaveIsClosed: 409,
    ExerciseUnknown: 409,
    ReferenceReused: 409,
    StakeholderErased: 410,
    SubjectErased: 410,
    ResponseInvalid: 422,
    DayOutsideField: 422,
    AnsweredTooOften: 429,
    ColumnsWrong: 422,
    RowUnreadable: 422,
}

RESEARCHER = allow("researcher")
COLLECTORS = allow("collector", "researcher")
READERS = allow("researcher", "collector", "analyst", "auditor")

routes = Routes(tags=["feedback"])

WaveId = Annotated[Id, Path(description="Wave")]
InstrumentCode = Annotated[Code, Path(description="Code of the instrument")]
Version = Annotated[int, Path(ge=1, description="Version of the instrument")]


class AnswerView(BaseModel):
    code: str
    label: str


class QuestionView(BaseModel):
    code: str
    version: int
    text: str
    answers: tuple[AnswerView, ...]
    counts: tuple[str, ...]
    left_out: tuple[str, ...]
    breaks_series: bool


class InstrumentView(BaseModel):
    """One version of an instrument."""

    instrument_id: str
    code: str
    version: int
    title: str | None
    weighted: bool
    questions: tuple[QuestionView, ...]
    groups: tuple[str, ...]
    regions: tuple[str, ...]
    synthetic: bool
    published_on: date

    @classmethod
    def of(cls, instrument: Instrument, version: int | None = None) -> Self:
        """The version named, or the newest."""
        edition = instrument.editions[-1] if version is None else instrument.edition(version)
        return cls(
            **asdict(edition),
            instrument_id=instrument.id,
            code=instrument.code,
            version=edition.number,
            synthetic=instrument.synthetic,
        )


class InstrumentLine(BaseModel):
    instrument_id: str
    code: str
    synthetic: bool
    versions: tuple[int, ...]

    @classmethod
    def of(cls, instrument: Instrument) -> Self:
        return cls(
            instrument_id=instrument.id,
            code=instrument.code,
            synthetic=instrument.synthetic,
            versions=tuple(edition.number for edition in instrument.editions),
        )


class WaveView(BaseModel):
    id: str
    version: int = Field(description="Also the ETag")
    instrument_id: str
    instrument_code: str
    instrument_version: int
    ordinal: int
    year: int
    starts_on: date
    ends_on: date
    populations: dict[str, int]
    question_versions: dict[str, int]
    breaks: tuple[str, ...] = Field(description="Questions whose figures do not compare with those of the wave before")
    exercise_id: str | None
    synthetic: bool
    state: WaveState
    closed_on: date | None

    @classmethod
    def of(cls, wave: Wave) -> Self:
        return cls(**asdict(wave))


class ReceiptView(BaseModel):
    """That a response was taken."""

    response_id: str
    event: str = Field(description="Id of the event that tells of it")
    wave_id: str
    day: date = Field(description="All that is kept of its time")

    @classmethod
    def of(cls, response: Answered) -> Self:
        return cls(response_id=response.id, event=response.event_id, wave_id=response.wave_id, day=response.day)


@routes.post("/instruments", access=RESEARCHER, view=InstrumentView, problems=(409,))
async def publish(command: PublishInstrument, run: Run) -> Response:
    """Publish the next version of an instrument. A question keeps its version as long as nothing of it changes."""
    return await run(publish_instrument, command, view=InstrumentView.of)


@routes.get("/instruments", access=READERS, view=Page[InstrumentLine])
async def instruments(query: Query, limit: Limit = 50, cursor: CursorParameter = None) -> Response:
    """All instruments, by the order of their first publication."""
    question = ListInstruments(after=place_of(cursor, {}, 1), limit=limit)

    def page(found: list[Instrument]) -> Page[InstrumentLine]:
        more = cursor_of((found[limit - 1].id,), {}) if len(found) > limit else None
        return Page[InstrumentLine](items=[InstrumentLine.of(instrument) for instrument in found[:limit]], next=more)

    return await query(list_instruments, question, view=page)


@routes.get("/instruments/{code}/{version}", access=READERS, view=InstrumentView, problems=(404,))
async def instrument(code: InstrumentCode, version: Version, query: Query) -> Response:
    """One version of an instrument, with all its questions."""
    return await query(read_instrument, ReadInstrument(code=code), view=lambda found: InstrumentView.of(found, version))


@routes.post("/waves", access=RESEARCHER, view=WaveView, problems=(404, 409))
async def open_(command: OpenWave, run: Run) -> Response:
    """Open a wave: a version of an instrument goes into the field."""
    return await run(open_wave, command, view=WaveView.of)


@routes.get("/waves", access=READERS, view=Page[WaveView])
async def waves(
    query: Query,
    instrument_code: Code | None = None,
    state: WaveState | None = None,
    limit: Limit = 50,
    cursor: CursorParameter = None,
) -> Response:
    """Waves in the order in which they were opened."""
    filters: dict[str, Any] = {"instrument_code": instrument_code, "state": state}
    question = ListWaves(**filters, after=place_of(cursor, filters, 1), limit=limit)

    def page(found: list[Wave]) -> Page[WaveView]:
        more = cursor_of((found[limit - 1].id,), filters) if len(found) > limit else None
        return Page[WaveView](items=[WaveView.of(wave) for wave in found[:limit]], next=more)

    return await query(list_waves, question, view=page)


@routes.get("/waves/{id}", access=READERS, view=WaveView, problems=(404,))
async def wave(id: WaveId, query: Query) -> Response:  # noqa: A002 - as in the path
    """A wave."""
    return await query(read_wave, ReadWave(wave_id=id), view=WaveView.of)


@routes.post("/waves/{id}/close", access=RESEARCHER, status=200, view=WaveView, problems=(404, 409, 412, 428))
async def close(id: WaveId, run: Run, if_match: IfMatch) -> Response:  # noqa: A002 - as in the path
    """Close a wave; what begins after this is answered is refused."""
    return await run(close_wave, CloseWave(wave_id=id), view=WaveView.of, expect={id: if_match})


@routes.post("/waves/{id}/responses", access=COLLECTORS, limit="collecting", view=ReceiptView, problems=(404, 409, 410))
async def submit(id: WaveId, submission: Submission, run: Run, _key: IdempotencyKey) -> Response:  # noqa: A002
    """Submit a response. Without `stakeholder_id` it is anonymous, and no time of it finer than the day is kept."""
    return await run(submit_response, SubmitResponse(wave_id=id, submission=submission), view=ReceiptView.of)


@routes.post(
    "/waves/{id}/responses/import",
    access=COLLECTORS,
    limit="collecting",
    status=200,
    streaming=True,
    problems=(404, 409),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/x-ndjson": {"schema": {"type": "string"}},
                "text/csv": {"schema": {"type": "string"}},
            },
        }
    },
)
async def import_(id: WaveId, request: Request, query: Query, each: RunEach) -> Response:  # noqa: A002
    """Import a stream of any length: NDJSON (a response a line, with `reference`) or CSV. A line of JSON per row back."""
    formats = {"application/x-ndjson": ndjson, "text/csv": comma_separated}
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in formats:
        raise HTTPException(415, "send application/x-ndjson or text/csv, in UTF-8")
    await query(check_importable, ReadWave(wave_id=id), view=WaveView.of)
    rest = chunks(formats[media_type](request.stream()))
    first = await anext(rest)
    return Answers(unhurried(answers(first, rest, id, each)), media_type="application/x-ndjson")


@routes.get("/waves/{id}/responses/count", access=READERS, view=Counted, problems=(404,))
async def count(id: WaveId, query: Query) -> Response:  # noqa: A002 - as in the path
    """How many responses a wave has."""
    return await query(count_responses, ReadWave(wave_id=id))
