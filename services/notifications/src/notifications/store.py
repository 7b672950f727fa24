"""Where this service keeps what it knows."""

from rapport_chassis.documents import Index
from rapport_chassis.repository import repository
from rapport_chassis.unit_of_work import UnitOfWork

from notifications.domain.consent import Consents
from notifications.domain.exercise import Exercise
from notifications.domain.message import Message
from notifications.domain.subscription import Subscription


class Notifications(UnitOfWork):
    """Addresses, secrets and what a message tells are sealed under its recipient."""

    subscriptions = repository("subscriptions", Subscription, sealed=("address", "secret"), subject="recipient")
    messages = repository("messages", Message, sealed=("facts",), subject="recipient")
    consents = repository("consents", Consents)
    exercises = repository("exercises", Exercise)


INDEXES = (
    Index("subscriptions", ("event_types", "state")),
    Index("subscriptions", ("stakeholder_id", "state")),
    Index("messages", ("due", "id")),
    Index("messages", ("recipient", "state")),
    Index("messages", ("state", "queued", "id")),
    Index("messages", ("subscription_id", "queued", "id")),
    Index("messages", ("queued", "id")),
)
