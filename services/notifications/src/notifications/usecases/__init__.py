"""What this service can be asked to do, one file each; and what they need of a unit of work."""

from typing import Protocol

import rapport_ports as ports
from rapport_events.envelope import Envelope
from rapport_ports import Kept

from notifications.domain.consent import Consents
from notifications.domain.exercise import Exercise
from notifications.domain.message import Message
from notifications.domain.subscription import Subscription


class Unit(ports.Unit, Protocol):
    """One use case's unit of work."""

    @property
    def consumed(self) -> Envelope | None: ...

    @property
    def subscriptions(self) -> Kept[Subscription]: ...

    @property
    def messages(self) -> Kept[Message]: ...

    @property
    def consents(self) -> Kept[Consents]: ...

    @property
    def exercises(self) -> Kept[Exercise]: ...
