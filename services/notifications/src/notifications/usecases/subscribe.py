"""Somebody wants to hear of some kinds of event, on one channel."""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr
from rapport_events.notifications import Subscribed

from notifications.domain.subscription import SubscriberErased, Subscription
from notifications.domain.template import TEMPLATES
from notifications.usecases import Unit


def _known(event_type: str) -> str:
    if event_type not in TEMPLATES:
        raise ValueError("must be one of " + ", ".join(TEMPLATES))
    return event_type


def _distinct(event_types: list[str]) -> list[str]:
    if len(set(event_types)) != len(event_types):
        raise ValueError("must name each kind of event once")
    return event_types


class Subscribe(BaseModel):
    """Whether `address` fits `channel` is the channel's to say, before the use case is run."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    event_types: Annotated[
        list[Annotated[str, Field(max_length=100), AfterValidator(_known)]],
        AfterValidator(_distinct),
        Field(min_length=1, max_length=20, description="Kinds of event, by type without version"),
    ]
    channel: Annotated[str, Field(min_length=1, max_length=40, description="email, webhook")]
    address: Annotated[
        str,
        Field(min_length=3, max_length=2048, repr=False, description="Mail address or URL; sealed, never shown again"),
    ]
    stakeholder_id: Annotated[
        str | None,
        Field(
            pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
            description="Stakeholder of the registry, whose consent is then needed; absent: staff or a system",
        ),
    ] = None
    _secret: str | None = PrivateAttr(default=None)

    def signed_with(self, secret: str | None) -> Self:
        """The same with the secret that the channel signs with, which a client cannot choose."""
        signed = self.model_copy()
        signed._secret = secret  # noqa: SLF001 - our own class; a field would be in the request's schema
        return signed

    @property
    def secret(self) -> str | None:
        return self._secret


async def subscribe(command: Subscribe, unit: Unit) -> Subscription:
    """The new subscription. Raises SubscriberErased."""
    if command.stakeholder_id is not None:
        consents = await unit.consents.get(command.stakeholder_id)
        if consents is not None and consents.erased:
            raise SubscriberErased("the stakeholder was erased")
    id_ = unit.new_id()
    subscription = Subscription(
        id=id_,
        recipient=command.stakeholder_id or id_,
        stakeholder_id=command.stakeholder_id,
        event_types=tuple(command.event_types),
        channel=command.channel,
        address=command.address,
        secret=command.secret,
        subscribed_at=unit.now,
    )
    unit.subscriptions.add(subscription)
    unit.emit(
        Subscribed(
            subscription_id=subscription.id,
            stakeholder_id=subscription.stakeholder_id,
            event_types=subscription.event_types,
            channel=subscription.channel,
        )
    )
    return subscription
