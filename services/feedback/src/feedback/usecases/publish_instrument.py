"""Publish a version of an instrument."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator
from rapport_events import feedback as events
from rapport_ports import FROM_JSON, Command

from feedback.domain.instrument import Answer, Edition, Instrument, Question, SyntheticMixed
from feedback.usecases import Code, Codes, Unit

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000)]


class AnswerIn(Command):
    code: Code
    label: Words


class QuestionIn(Command):
    code: Code
    version: int = Field(ge=1, description="Of the wording; other words, answers or counts are another version")
    text: Words
    answers: Annotated[tuple[AnswerIn, ...], FROM_JSON] = Field(min_length=2, max_length=100)
    counts: Codes = Field(min_length=1, max_length=100, description="Answers that count towards the share")
    left_out: Codes = Field(
        default=(), max_length=100, description="Answers outside the base, such as refused or not asked"
    )
    breaks_series: bool = Field(default=False, description="Not to be compared with the version before")

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        codes = [answer.code for answer in self.answers]
        for name, chosen in (("answers", codes), ("counts", self.counts), ("left_out", self.left_out)):
            if len(set(chosen)) < len(chosen):
                raise ValueError(f"{name} names an answer twice")
            if not set(chosen) <= set(codes):
                raise ValueError(f"{name} names an answer that is not there")
        if set(self.counts) & set(self.left_out):
            raise ValueError("an answer that counts cannot be left out")
        return self


class PublishInstrument(Command):
    code: Code
    version: int = Field(ge=1, description="1, and then one more each time")
    title: Words | None = None
    weighted: bool = Field(description="Its responses may carry weights")
    questions: Annotated[tuple[QuestionIn, ...], FROM_JSON] = Field(min_length=1, max_length=200)
    groups: Codes = Field(default=(), max_length=200, description="Groups that a response may name")
    regions: Codes = Field(default=(), max_length=200, description="Regions that a response may name")
    synthetic: bool = Field(description="Made up; then all its waves are")

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        questions = [question.code for question in self.questions]
        for name, codes in (("questions", questions), ("groups", self.groups), ("regions", self.regions)):
            if len(set(codes)) < len(codes):
                raise ValueError(f"{name} names a code twice")
        return self


async def publish_instrument(command: PublishInstrument, unit: Unit) -> Instrument:
    """The instrument with its new version.

    Raises VersionTaken, VersionSkipped, WordingChanged, QuestionOutdated, SyntheticMixed.
    """
    known = await unit.instruments.find({"code": command.code}, limit=1)
    instrument = known[0] if known else Instrument(id=unit.new_id(), code=command.code, synthetic=command.synthetic)
    if instrument.synthetic != command.synthetic:
        raise SyntheticMixed("the versions of an instrument are all made up, or none is")
    edition = Edition(
        number=command.version,
        title=command.title,
        weighted=command.weighted,
        questions=tuple(_question(question) for question in command.questions),
        groups=command.groups,
        regions=command.regions,
        published_on=unit.now.date(),
    )
    instrument.check_publishable(edition)
    instrument.editions = (*instrument.editions, edition)
    if known:
        unit.instruments.save(instrument)
    else:
        unit.instruments.add(instrument)
    unit.emit(
        events.InstrumentPublished(
            instrument_id=instrument.id,
            instrument_code=instrument.code,
            instrument_version=edition.number,
            questions=tuple(_told(question) for question in edition.questions),
            weighted=edition.weighted,
            synthetic=instrument.synthetic,
        )
    )
    return instrument


def _question(question: QuestionIn) -> Question:
    return Question(
        code=question.code,
        version=question.version,
        text=question.text,
        answers=tuple(Answer(code=answer.code, label=answer.label) for answer in question.answers),
        counts=question.counts,
        left_out=question.left_out,
        breaks_series=question.breaks_series,
    )


def _told(question: Question) -> events.Question:
    return events.Question(
        code=question.code,
        version=question.version,
        answers=question.answer_codes,
        counts=question.counts,
        left_out=question.left_out,
        breaks_series=question.breaks_series,
    )
