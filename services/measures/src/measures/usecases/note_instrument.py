"""Note how a version of an instrument asks its questions."""

from rapport_events.feedback import InstrumentPublished

from measures.domain.fieldwork import PublishedInstrument, PublishedQuestion
from measures.usecases import Unit


async def note_instrument(event: InstrumentPublished, unit: Unit) -> None:
    """Kept so that a figure can be explained with the question as it was asked."""
    id_ = PublishedInstrument.id_of(event.instrument_code, event.instrument_version, synthetic=event.synthetic)
    known = await unit.instruments.get(id_)
    unit.instruments.add(
        PublishedInstrument(
            id=id_,
            version=known.version if known else 0,
            instrument=event.instrument_code,
            number=event.instrument_version,
            weighted=event.weighted,
            synthetic=event.synthetic,
            questions=tuple(
                PublishedQuestion(
                    code=question.code,
                    version=question.version,
                    answers=question.answers,
                    counts=question.counts,
                    left_out=question.left_out,
                    breaks_series=question.breaks_series,
                )
                for question in event.questions
            ),
        ),
    )
