"""Subscriptions, and what became of their messages. No route shows an address or what a message says."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import Depends, Request
from fastapi import Query as Parameter
from pydantic import BaseModel, Field
from rapport_chassis.http import (
    CursorParameter,
    IdempotencyKey,
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

from notifications.channels import AddressRefused, UnknownChannel, channel_for
from notifications.domain.message import Message, MessageState
from notifications.domain.subscription import SubscriberErased, Subscription, SubscriptionNotFound, SubscriptionState
from notifications.settings import Settings
from notifications.usecases.list_messages import ListMessages, list_messages
from notifications.usecases.list_subscriptions import ListSubscriptions, list_subscriptions
from notifications.usecases.read_subscription import read_subscription
from notifications.usecases.subscribe import Subscribe, subscribe
from notifications.usecases.unsubscribe import unsubscribe

# A subscription is told of what happens in all regions, and so nothing here is within reach of a token bound to one.
OFFICERS = allow("engagement-officer", regional=False)
READERS = allow("engagement-officer", "operator", "auditor", regional=False)
READERS_OF_MESSAGES = allow("engagement-officer", "operator", "auditor", "analyst", regional=False)

routes = Routes(tags=["notifications"])

ERRORS: dict[type[Exception], int] = {
    AddressRefused: 422,
    UnknownChannel: 422,
    SubscriptionNotFound: 404,
    SubscriberErased: 410,
}


class SubscriptionView(BaseModel):
    id: str
    stakeholder_id: str | None
    event_types: list[str]
    channel: str
    state: SubscriptionState
    subscribed_at: datetime
    ended_at: datetime | None
    version: int

    @classmethod
    def of(cls, found: Subscription) -> Self:
        return cls.model_validate(found, from_attributes=True, strict=False)


class NewSubscriptionView(SubscriptionView):
    secret: str | None = Field(default=None, description="What a webhook's messages are signed with: shown this once")


class MessageView(BaseModel):
    id: str = Field(description="Also the webhook-id, and the first part of the Message-ID")
    subscription_id: str
    channel: str
    cause: str = Field(description="Id of the event it tells of")
    cause_type: str
    template: str
    template_version: int
    synthetic: bool
    state: MessageState
    attempts: int
    reason: str | None = Field(description="Why it was not sent, or why the last attempt failed")
    queued_at: datetime
    settled_at: datetime | None

    @classmethod
    def of(cls, found: Message) -> Self:
        return cls.model_validate(found, from_attributes=True)


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.runtime.settings
    return settings


@routes.post(
    "/subscriptions",
    access=OFFICERS,
    limit="subscribing",
    view=NewSubscriptionView,
    problems=(410,),
)
async def post_subscription(
    command: Subscribe,
    run: Run,
    settings: Annotated[Settings, Depends(_settings)],
    _key: IdempotencyKey,
) -> Response:
    """Subscribe an address to kinds of event. A webhook's secret is in this answer and nowhere else."""
    secret = channel_for(command.channel, command.address, settings).new_secret()
    answer = await run(subscribe, command.signed_with(secret), view=SubscriptionView.of)
    if "Idempotency-Replayed" in answer.headers:
        return answer
    # The answer that is kept for a repeated request holds no secret; it is added on the way out.
    view = NewSubscriptionView.model_validate_json(bytes(answer.body))
    body = view.model_copy(update={"secret": secret}).model_dump_json()
    return Response(body, status_code=201, headers={"ETag": answer.headers["ETag"]}, media_type="application/json")


@routes.get("/subscriptions", access=READERS, view=Page[SubscriptionView])
async def get_subscriptions(
    query: Query,
    state: SubscriptionState | None = None,
    stakeholder: Annotated[str | None, Parameter(max_length=64)] = None,
    limit: Limit = 50,
    cursor: CursorParameter = None,
) -> Response:
    """Subscriptions, oldest first."""
    filters = {"state": state, "stakeholder": stakeholder}
    question = ListSubscriptions(
        state=state, stakeholder=stakeholder, after=place_of(cursor, filters, 1), limit=limit + 1
    )
    return await query(
        list_subscriptions,
        question,
        view=lambda found: Page[SubscriptionView](
            items=[SubscriptionView.of(each) for each in found[:limit]],
            next=cursor_of((found[limit - 1].id,), filters) if len(found) > limit else None,
        ),
    )


@routes.get(
    "/subscriptions/{id}",
    access=READERS,
    view=SubscriptionView,
    problems=(404,),
)
async def get_subscription(id: str, query: Query) -> Response:  # noqa: A002 - as the path has it
    """One subscription."""
    return await query(read_subscription, id, view=SubscriptionView.of)


@routes.delete("/subscriptions/{id}", access=OFFICERS, status=204, problems=(404,))
async def delete_subscription(id: str, run: Run) -> Response:  # noqa: A002 - as the path has it
    """Unsubscribe: the address is forgotten, what waits is not sent. Never refused for a version, and may be repeated."""
    return await run(unsubscribe, id)


@routes.get("/messages", access=READERS_OF_MESSAGES, view=Page[MessageView])
async def get_messages(
    query: Query,
    state: MessageState | None = None,
    subscription: Annotated[str | None, Parameter(max_length=64)] = None,
    limit: Limit = 50,
    cursor: CursorParameter = None,
) -> Response:
    """Messages, newest first: what became of each, and why. Never to whom, never its words."""
    filters = {"state": state, "subscription": subscription}
    question = ListMessages(state=state, subscription=subscription, after=place_of(cursor, filters, 2), limit=limit + 1)
    return await query(
        list_messages,
        question,
        view=lambda found: Page[MessageView](
            items=[MessageView.of(each) for each in found[:limit]],
            next=cursor_of((found[limit - 1].queued, found[limit - 1].id), filters) if len(found) > limit else None,
        ),
    )
