"""The HTTP surface: parse, run, view."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Self, TypeVar

from fastapi import Depends
from pydantic import BaseModel, ConfigDict, Field
from rapport_chassis.http import (
    CursorParameter,
    IdempotencyKey,
    IfMatch,
    Limit,
    Page,
    Query,
    Response,
    Routes,
    Run,
    allow,
    cursor_of,
    place_of,
)

from engagement.domain.calendar import ImpossibleDate
from engagement.domain.contact import ContactNotFound
from engagement.domain.delivery_plan import ActivityUnknown, PlanIncomplete, PlanNotLoaded
from engagement.domain.exercise import (
    AlreadyReplied,
    ExerciseNotFound,
    ExerciseUnknown,
    OrganiserDecides,
    PromiseState,
)
from engagement.domain.participation import Level, Method, Mode, Nature, Role
from engagement.domain.receipt import Outcome
from engagement.domain.reference import Reference, reference
from engagement.domain.stakeholder import ErasedParticipants, MixedData, UnknownParticipants
from engagement.usecases import Code, Id
from engagement.usecases.list_contacts import ListContacts, list_contacts
from engagement.usecases.list_exercises import ListExercises, list_exercises
from engagement.usecases.load_delivery_plan import LoadDeliveryPlan, load_delivery_plan
from engagement.usecases.log_contact import LogContact, log_contact
from engagement.usecases.open_exercise import OpenExercise, open_exercise
from engagement.usecases.publish_reply import Reply, publish_reply
from engagement.usecases.read_contact import read_contact
from engagement.usecases.read_delivery_plan import PlanState, read_delivery_plan
from engagement.usecases.read_exercise import read_exercise
from engagement.usecases.read_notes import read_notes
from engagement.usecases.read_receipts import read_receipts

ERRORS: dict[type[Exception], int] = {
    PlanNotLoaded: 404,
    ContactNotFound: 404,
    ExerciseNotFound: 404,
    PlanIncomplete: 409,
    AlreadyReplied: 409,
    UnknownParticipants: 409,  # the registry's news may be on the way: the same request may succeed a moment later
    ErasedParticipants: 410,
    ExerciseUnknown: 422,
    ActivityUnknown: 422,
    OrganiserDecides: 422,
    ImpossibleDate: 422,
    MixedData: 422,
}

OFFICERS = allow("engagement-officer")
OFFICERS_AND_DIRECTORS = allow("engagement-officer", "director")
READERS = allow("engagement-officer", "director", "analyst", "auditor")

T = TypeVar("T")


class View(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    @classmethod
    def of(cls, found: Any) -> Self:
        return cls.model_validate(found)


class PlanVersionView(View):
    number: int
    source: str
    loaded_at: datetime
    changed: tuple[str, ...] = Field(description="Activities that are new or different in it")


class LoadedView(View):
    number: int = Field(description="Version of the plan in force")
    versions: tuple[PlanVersionView, ...] = Field(description="Oldest first")


class LeadView(View):
    code: str
    name: str


class ActivityView(View):
    id: str
    line: str
    item: str
    activity: str
    leads: tuple[LeadView, ...]
    years: tuple[int, ...] = Field(description="Years of the plan in which it is due, from 1")
    tentative_years: tuple[int, ...] = Field(description="Years in which the plan is not certain of it")
    plan_version: int = Field(description="Version of the plan that last changed it")
    evidence: int = Field(description="Contacts that name it")
    synthetic_evidence: int = Field(description="Contacts with synthetic data that name it")


class PlanView(LoadedView):
    activities: tuple[ActivityView, ...]

    @classmethod
    def of(cls, found: PlanState) -> Self:
        plan = LoadedView.of(found.plan)
        return cls(
            number=plan.number,
            versions=plan.versions,
            activities=tuple(
                ActivityView(
                    id=activity.id,
                    line=activity.planned.line,
                    item=activity.planned.item,
                    activity=activity.planned.activity,
                    leads=tuple(LeadView.of(lead) for lead in activity.planned.leads),
                    years=activity.planned.years,
                    tentative_years=activity.planned.tentative_years,
                    plan_version=activity.plan_version,
                    evidence=found.evidence[activity.id],
                    synthetic_evidence=found.synthetic_evidence[activity.id],
                )
                for activity in found.activities
            ),
        )


class ContactView(View):
    """A contact without its notes, which have a route of their own."""

    id: str
    version: int
    participants: tuple[str, ...]
    region: str | None
    level: Level
    nature: Nature
    mode: Mode
    method: Method
    held_on: date
    exercise_id: str | None
    activity_id: str | None
    synthetic: bool
    logged_at: datetime
    case_id: str | None = Field(description="Individual case it belongs to: then only the case's team sees it")
    team: tuple[str, ...] | None = Field(description="Subjects of the case's team")


class NotesView(View):
    contact_id: str
    notes: str | None = Field(description="Null where none were taken; erased where their subject was")


class ExerciseFactsView(View):
    """An exercise without its words: what a write answers, so that none wait in the stored answers of Idempotency-Keys."""

    id: str
    version: int
    level: Level
    method: Method
    region: str | None
    participants: tuple[str, ...]
    organiser: Role
    decision_maker: Role
    promise_state: PromiseState
    reply_due: date
    opened_on: date
    recorded_at: datetime
    broken_on: date | None
    replied_on: date | None
    synthetic: bool


class ExerciseView(ExerciseFactsView):
    title: str
    promise: str
    reply: str | None


class ReceiptView(View):
    id: str = Field(description="Message")
    stakeholder_id: str | None
    channel: str
    outcome: Outcome
    reason: str | None
    at: datetime


class ProofView(View):
    exercise_id: str
    reply_event: str | None = Field(description="Id of the event that told of the reply; null before it")
    told: tuple[str, ...] = Field(description="Participants whom a message reached")
    not_told: tuple[str, ...] = Field(description="Participants whom none reached; see the receipts for the reasons")
    waiting: tuple[str, ...] = Field(description="Participants without a receipt yet")
    receipts: tuple[ReceiptView, ...]


def contact_filters(
    participant: Id | None = None,
    region: Code | None = None,
    level: Level | None = None,
    nature: Nature | None = None,
    mode: Mode | None = None,
    exercise_id: Id | None = None,
    activity_id: Id | None = None,
) -> dict[str, Any]:
    return locals()


def exercise_filters(
    participant: Id | None = None,
    region: Code | None = None,
    level: Level | None = None,
    promise_state: PromiseState | None = None,
) -> dict[str, Any]:
    return locals()


def page(view: Callable[[Any], T], limit: int, filters: dict[str, Any]) -> Callable[[Sequence[Any]], Page[T]]:
    """The view of a list of which one more than `limit` was read, to know whether it goes on."""

    def of(found: Sequence[Any]) -> Page[T]:
        behind = cursor_of((found[limit - 1].id,), filters) if len(found) > limit else None
        return Page[Any](items=[view(one) for one in found[:limit]], next=behind)

    return of


plan = Routes(tags=["delivery plan"])
contacts = Routes(tags=["contacts"])
exercises = Routes(tags=["exercises"])
reference_data = Routes(tags=["reference"])


@plan.put("/plan", access=OFFICERS, view=LoadedView, problems=(409,))
async def load(command: LoadDeliveryPlan, run: Run) -> Response:
    """Load the delivery plan: `{}` loads Annex A. What is loaded already changes nothing."""
    return await run(load_delivery_plan, command, view=LoadedView.of)


@plan.get("/plan", access=READERS, view=PlanView, problems=(404,))
async def read_plan(query: Query) -> Response:
    """The delivery plan in force, with the evidence for each activity."""
    return await query(read_delivery_plan, None, view=PlanView.of)


@contacts.post("/contacts", access=OFFICERS, view=ContactView, problems=(409, 410))
async def log(command: LogContact, run: Run, _: IdempotencyKey) -> Response:
    """Log a contact. 409 names participants the registry has not told of, or not yet."""
    return await run(log_contact, command, view=ContactView.of)


@contacts.get("/contacts", access=READERS, view=Page[ContactView])
async def list_all_contacts(
    filters: Annotated[dict[str, Any], Depends(contact_filters)],
    query: Query,
    limit: Limit = 50,
    cursor: CursorParameter = None,
) -> Response:
    """Contacts, newest first."""
    question = ListContacts(**filters, before=place_of(cursor, filters, 1), limit=limit + 1)
    return await query(list_contacts, question, view=page(ContactView.of, limit, filters))


@contacts.get("/contacts/{id}", access=READERS, view=ContactView, problems=(404,))
async def read_one_contact(id: str, query: Query) -> Response:  # noqa: A002 - the name in the path
    """A contact, without its notes."""
    return await query(read_contact, id, view=ContactView.of)


@contacts.get("/contacts/{id}/notes", access=OFFICERS_AND_DIRECTORS, view=NotesView, problems=(404,))
async def read_its_notes(id: str, query: Query) -> Response:  # noqa: A002 - as above
    """The notes of a contact, "erased" once those they are about were."""
    return await query(read_notes, id, view=NotesView.of)


@exercises.post("/exercises", access=OFFICERS, view=ExerciseFactsView, problems=(409, 410))
async def open_(command: OpenExercise, run: Run, _: IdempotencyKey) -> Response:
    """Open an exercise and make its promise. With `opened_on` in the past it is one that is recorded late."""
    return await run(open_exercise, command, view=ExerciseFactsView.of)


@exercises.get("/exercises", access=READERS, view=Page[ExerciseView])
async def list_all_exercises(
    filters: Annotated[dict[str, Any], Depends(exercise_filters)],
    query: Query,
    limit: Limit = 50,
    cursor: CursorParameter = None,
) -> Response:
    """Exercises, newest first."""
    question = ListExercises(**filters, before=place_of(cursor, filters, 1), limit=limit + 1)
    return await query(list_exercises, question, view=page(ExerciseView.of, limit, filters))


@exercises.get("/exercises/{id}", access=READERS, view=ExerciseView, problems=(404,))
async def read_one_exercise(id: str, query: Query) -> Response:  # noqa: A002 - as above
    """An exercise with its promise, what became of it, and the reply."""
    return await query(read_exercise, id, view=ExerciseView.of)


@exercises.post(
    "/exercises/{id}/reply",
    access=OFFICERS_AND_DIRECTORS,
    view=ExerciseFactsView,
    status=200,
    problems=(404, 409, 412, 428),
)
async def reply(id: str, command: Reply, run: Run, if_match: IfMatch) -> Response:  # noqa: A002 - as above
    """Publish the reply: in time it keeps the promise, late it does not."""
    return await run(publish_reply, command.to(id), view=ExerciseFactsView.of, expect={id: if_match})


@exercises.get("/exercises/{id}/receipts", access=READERS, view=ProofView, problems=(404,))
async def read_its_receipts(id: str, query: Query) -> Response:  # noqa: A002 - as above
    """Who was told of the reply."""
    return await query(read_receipts, id, view=ProofView.of)


@reference_data.get("/reference", access=READERS, view=Reference)
async def read_reference() -> Reference:
    """The ladder of participation, the natures of a contact and the methods, with their source."""
    return reference()


ROUTES = (plan, contacts, exercises, reference_data)
