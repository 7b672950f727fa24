"""Everything feedback says and hears."""

from collections.abc import Awaitable, Callable
from typing import Any

from rapport_events.engagement import ExerciseOpened
from rapport_events.event import Event
from rapport_events.feedback import InstrumentPublished, ResponseReceived, WaveClosed, WaveOpened
from rapport_events.registry import StakeholderErased

from feedback.usecases.note_exercise import note_exercise
from feedback.usecases.withdraw_responses import withdraw_responses

EMITS = (InstrumentPublished, WaveOpened, WaveClosed, ResponseReceived)
CONSUMES: dict[type[Event], Callable[[Any, Any], Awaitable[None]]] = {
    StakeholderErased: withdraw_responses,
    ExerciseOpened: note_exercise,
}
