"""What the figures of an instrument are judged by."""

from collections.abc import Sequence
from dataclasses import dataclass

from measures.domain.answers import Answers
from measures.domain.fieldwork import Fieldwork
from measures.domain.measure import Figure, Measure
from measures.domain.settings import Settings


@dataclass(slots=True)
class Basis:
    """All of one instrument, real or synthetic: waves, answers and figures by their ids.

    Populations are not among it: they change without any wave.
    """

    settings: Settings
    measures: Sequence[Measure]
    waves: dict[str, Fieldwork]
    answers: dict[str, Answers]
    figures: dict[str, Figure]
