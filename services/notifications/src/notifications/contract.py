"""What this service hears and tells."""

from collections.abc import Awaitable, Callable, Mapping

from rapport_events.engagement import ContactLogged, ExerciseOpened, PromiseBroken, ReplyPublished
from rapport_events.event import Event
from rapport_events.measures import VerdictChanged
from rapport_events.notifications import MessageFailed, MessageSent, MessageSuppressed, Subscribed, Unsubscribed
from rapport_events.registry import ConsentGranted, ConsentWithdrawn, StakeholderErased

from notifications.usecases.forget_stakeholder import forget_stakeholder
from notifications.usecases.note_consent import note_consent
from notifications.usecases.note_exercise import note_exercise
from notifications.usecases.queue_message import queue_message

EMITS = (Subscribed, Unsubscribed, MessageSent, MessageFailed, MessageSuppressed)

CONSUMES: Mapping[type[Event], Callable[..., Awaitable[None]]] = {
    VerdictChanged: queue_message,
    ReplyPublished: queue_message,
    PromiseBroken: queue_message,
    ContactLogged: queue_message,
    ExerciseOpened: note_exercise,
    ConsentGranted: note_consent,
    ConsentWithdrawn: note_consent,
    StakeholderErased: forget_stakeholder,
}
