"""What people told us: events of instruments, waves and responses."""

from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from rapport_events.event import Event, Sealed
from rapport_events.fields import Id, Region, Synthetic, WaveId

WEIGHT_ONE = 10_000
"""Weight of a response that counts once: weights are whole ten-thousandths."""
WEIGHT_MAX = 200_000

InstrumentId = Annotated[Id, Field(description="Instrument (questionnaire)")]
InstrumentCode = Annotated[str, Field(min_length=1, description="Short code of the instrument, same in every version")]
InstrumentVersion = Annotated[int, Field(ge=1, description="Version of the instrument")]
Ordinal = Annotated[int, Field(ge=0, description="Place of the wave in its series; 0 is the baseline wave")]


class Group(StrEnum):
    """Groups for which the strategy sets targets (Annex B)."""

    BAME = "bame"
    YOUNG = "young-18-24"
    DISABILITY = "disability"
    GRADE_DE = "grade-de"


class Question(BaseModel):
    """One question as one version of an instrument asks it."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    code: Annotated[str, Field(min_length=1, description="Code of the question, same in every version")]
    version: Annotated[int, Field(ge=1, description="Version of its wording")]
    answers: Annotated[tuple[str, ...], Field(description="Codes of all answers")]
    counts: Annotated[tuple[str, ...], Field(description="Answers that count towards a share")]
    left_out: Annotated[tuple[str, ...], Field(description="Answers outside the base: refused, not asked")] = ()
    breaks_series: Annotated[
        bool, Field(description="Figures of this version are not comparable with those of the version before")
    ] = False


class InstrumentPublished(Event):
    """A version of an instrument is ready to be asked."""

    type = "feedback.instrument.published.v1"
    key = "instrument_id"
    about = ("instrument_code",)

    instrument_id: InstrumentId
    instrument_code: InstrumentCode
    instrument_version: InstrumentVersion
    questions: Annotated[tuple[Question, ...], Field(min_length=1, description="Questions in the order asked")]
    weighted: Annotated[bool, Field(description="Its responses carry weights")]
    synthetic: Synthetic


class WaveOpened(Event):
    """An instrument is in the field."""

    type = "feedback.wave.opened.v1"
    key = "wave_id"
    about = ("wave_id", "instrument_code")

    wave_id: WaveId
    instrument_id: InstrumentId
    instrument_code: InstrumentCode
    instrument_version: InstrumentVersion
    ordinal: Ordinal
    year: Annotated[int, Field(description="Year of the strategy it reports on; 0 is the baseline year")]
    starts_on: Annotated[date, Field(description="First day in the field")]
    ends_on: Annotated[date, Field(description="Last day in the field")]
    populations: dict[str, int] = Field(
        default_factory=dict, description="Size of the population per segment, where it is finite and known"
    )
    question_versions: Annotated[dict[str, int], Field(description="Version asked, per question code")]
    breaks: Annotated[tuple[str, ...], Field(description="Codes of questions whose series breaks at this wave")] = ()
    synthetic: Synthetic


class WaveClosed(Event):
    """A wave takes no more responses."""

    type = "feedback.wave.closed.v1"
    key = "wave_id"
    about = ("wave_id", "instrument_code")

    wave_id: WaveId
    instrument_code: InstrumentCode
    ordinal: Ordinal
    closed_on: Annotated[date, Field(description="Day of closing")]


class ResponseReceived(Event):
    """One person answered; an anonymous one leaves neither a name nor a time finer than the day."""

    type = "feedback.response.received.v1"
    key = "response_id"
    about = ("wave_id", "instrument_code", "answers", "groups")

    response_id: Annotated[Id, Field(description="Response")]
    wave_id: WaveId
    instrument_code: InstrumentCode
    answers: Annotated[dict[str, str], Field(description="Answer code per question code")]
    groups: Annotated[tuple[str, ...], Field(description="Codes of the groups the person belongs to")] = ()
    region: Region = None
    weight: Annotated[
        int, Field(ge=1, le=WEIGHT_MAX, description="Weight in whole ten-thousandths; 10000 counts once")
    ] = WEIGHT_ONE
    day: Annotated[date, Field(description="Day of the response")]
    stakeholder_id: Annotated[str | None, Field(description="Who answered; absent: anonymous")] = None
    comment: Annotated[
        Sealed | None, Field(description="Own words, sealed under the stakeholder, or the response if anonymous")
    ] = None
    synthetic: Synthetic
