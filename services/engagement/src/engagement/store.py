"""What is kept, and how it is found."""

from rapport_chassis.documents import Index
from rapport_chassis.repository import repository
from rapport_chassis.unit_of_work import UnitOfWork

from engagement import rights
from engagement.domain.contact import Contact
from engagement.domain.delivery_plan import Activity, DeliveryPlan
from engagement.domain.exercise import Exercise, PromiseState
from engagement.domain.receipt import Receipt
from engagement.domain.stakeholder import Stakeholder


class Engagement(UnitOfWork):
    """The unit of work of this service."""

    plans = repository("plans", DeliveryPlan)
    activities = repository("activities", Activity)
    contacts = repository("contacts", Contact, sealed=("notes",), subject="subject", reach=rights.reach_of_contacts)
    exercises = repository("exercises", Exercise, sealed=("title", "promise", "reply"), reach=rights.reach)
    stakeholders = repository("stakeholders", Stakeholder, reach=rights.reach)
    receipts = repository("receipts", Receipt)


INDEXES = (
    Index("activities", ("position",)),
    Index("contacts", ("participants", "id")),
    Index("contacts", ("region", "id")),
    Index("contacts", ("exercise_id", "id")),
    Index("contacts", ("activity_id", "synthetic", "id")),
    Index("exercises", ("reply_due", "id"), partial={"promise_state": PromiseState.STANDING.value}),
    Index("exercises", ("promise_state", "id")),
    Index("exercises", ("participants", "id")),
    Index("receipts", ("cause", "id")),
)
