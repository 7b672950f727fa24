"""List what figures lack: events that could not be applied, wait behind one that could not, or are still to come."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from rapport_ports import Command

from measures.domain.answers import ALL, Row
from measures.domain.figures import cell_of
from measures.domain.measure import Measure
from measures.domain.population import STAKEHOLDER_SURVEY
from measures.domain.standing import Waiting
from measures.usecases import Unit

RESPONSES = "feedback.response"


Name = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,39}$")]
Value = Annotated[str, Field(max_length=200)]


class Coming(Command):
    """Events of one kind that have not arrived here, as `/operations/outstanding` of their owner tells."""

    topic: str = Field(max_length=100)
    state: Literal["unsent", "unheard"]
    about: dict[Name, Value | Annotated[list[Value], Field(max_length=1_000)] | None] | None = Field(max_length=20)
    events: int = Field(ge=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """What the figures of a measure lack in a wave; `measure` is None where the events do not say what they are about.

    `what` are responses, or news (of a wave, an instrument, a person who could be asked). `because`: the first letters to
    look at, each with why it waits and how many of these events wait for it, itself included; and, without a letter,
    what is still to come.
    """

    measure: str | None
    wave_id: str | None
    what: str
    events: int
    because: tuple[tuple[str | None, str, int], ...]

    @property
    def words(self) -> str:
        """As an operator reads it."""
        what = self.what if self.events != 1 or self.what == "news" else self.what.removesuffix("s")
        why = ", ".join(f"{count:,} {reason} {letter or ''}".rstrip() for letter, reason, count in self.because)
        return f"{self.measure or 'nobody knows which figure'} lacks {self.events:,} {what}: {why}"


MOST_NAMED = 3


async def list_lacking(coming: Sequence[Coming], unit: Unit) -> list[Lacking]:
    """In the order of Annex B; empty where every event that was heard, or is said to come, is in the figures."""
    waiting = [*await unit.waiting(), *map(_waiting, coming)]
    if not waiting:
        return []
    measures = await unit.measures.find({}, sort="position")
    found: dict[tuple[str | None, str | None, str], list[Waiting]] = {}
    for each in waiting:
        for measure in _affected(each, measures):
            what = "responses" if each.topic == RESPONSES else "news"
            wave = (each.data or {}).get("wave_id")
            found.setdefault((measure, wave, what), []).append(each)
    place = {measure.id: measure.position for measure in measures}
    return [
        Lacking(
            measure=measure, wave_id=wave, what=what, events=sum(e.events for e in events), because=_because(events)
        )
        for (measure, wave, what), events in sorted(
            found.items(), key=lambda item: (place.get(item[0][0] or "", 0), item[0][1] or "")
        )
    ]


def _waiting(coming: Coming) -> Waiting:
    return Waiting(
        letter=None,
        topic=coming.topic,
        state=coming.state,
        reason="",
        behind=None,
        data=coming.about,
        events=coming.events,
    )


def _affected(each: Waiting, measures: Iterable[Measure]) -> list[str | None]:
    """The measures whose figures would be others with this event; [None] where it cannot be read."""
    data = each.data
    if data is None:
        return [None]
    if each.topic == RESPONSES:
        answers = data.get("answers") or {}
        row = Row("", answers, 0, tuple(data.get("groups") or ()), data.get("region"))
        return [
            measure.id
            for measure in measures
            if measure.definition.question in answers and cell_of(measure.definition, ALL) in row.cells
        ]
    instrument = data.get("instrument_code", STAKEHOLDER_SURVEY)
    return [measure.id for measure in measures if measure.definition.instrument == instrument]


def _because(events: Iterable[Waiting]) -> tuple[tuple[str | None, str, int], ...]:
    causes = Counter[tuple[str | None, str]]()
    for each in events:
        causes[each.cause] += each.events
    counted = [(letter, reason, count) for (letter, reason), count in causes.most_common()]
    letters = [each for each in counted if each[0] is not None]
    return (*letters[:MOST_NAMED], *(each for each in counted if each[0] is None))
