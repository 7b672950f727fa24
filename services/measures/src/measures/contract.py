"""The whole message surface."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from rapport_events.event import Event
from rapport_events.feedback import InstrumentPublished, ResponseReceived, WaveClosed, WaveOpened
from rapport_events.measures import MeasureDefined, VerdictChanged
from rapport_events.registry import StakeholderAmended, StakeholderErased, StakeholderRegistered

from measures.usecases.fold_response import fold_response
from measures.usecases.judge_touched import judge_touched
from measures.usecases.note_instrument import note_instrument
from measures.usecases.note_stakeholder import forget_stakeholder, note_stakeholder
from measures.usecases.note_wave import note_closed_wave, note_opened_wave

EMITS = (MeasureDefined, VerdictChanged)

CONSUMES: Mapping[type[Event], Callable[[Any, Any], Awaitable[None]]] = {
    ResponseReceived: fold_response,
    WaveOpened: note_opened_wave,
    WaveClosed: note_closed_wave,
    InstrumentPublished: note_instrument,
    StakeholderRegistered: note_stakeholder,
    StakeholderAmended: note_stakeholder,
    StakeholderErased: forget_stakeholder,
}

AFTER_BATCH = judge_touched
