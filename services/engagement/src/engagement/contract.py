"""The whole message surface."""

from collections.abc import Awaitable, Callable
from typing import Any

from rapport_events.engagement import (
    ActivityPlanned,
    ContactLogged,
    ExerciseOpened,
    PromiseBroken,
    PromiseKept,
    PromiseMade,
    ReplyPublished,
)
from rapport_events.event import Event
from rapport_events.notifications import MessageFailed, MessageSent, MessageSuppressed
from rapport_events.registry import StakeholderAmended, StakeholderErased, StakeholderRegistered

from engagement.usecases.forget_stakeholder import forget_stakeholder
from engagement.usecases.note_stakeholder import note_stakeholder
from engagement.usecases.note_told import note_told

EMITS = (
    ActivityPlanned,
    ContactLogged,
    ExerciseOpened,
    PromiseMade,
    ReplyPublished,
    PromiseKept,
    PromiseBroken,
)

CONSUMES: dict[type[Event], Callable[[Any, Any], Awaitable[None]]] = {
    StakeholderRegistered: note_stakeholder,
    StakeholderAmended: note_stakeholder,
    StakeholderErased: forget_stakeholder,
    MessageSent: note_told,
    MessageFailed: note_told,
    MessageSuppressed: note_told,
}
