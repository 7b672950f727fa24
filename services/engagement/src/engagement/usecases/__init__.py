"""What one can do here, one file each; and what a use case may ask of its unit of work."""

from typing import Annotated, Protocol

import rapport_ports as ports
from pydantic import AfterValidator, StringConstraints
from rapport_ports import FROM_JSON, Kept

from engagement.domain.contact import Contact
from engagement.domain.delivery_plan import Activity, DeliveryPlan
from engagement.domain.exercise import Exercise
from engagement.domain.receipt import Receipt
from engagement.domain.stakeholder import Stakeholder


class Unit(ports.Unit, Protocol):
    """The unit of work of this service."""

    @property
    def plans(self) -> Kept[DeliveryPlan]: ...

    @property
    def activities(self) -> Kept[Activity]: ...

    @property
    def contacts(self) -> Kept[Contact]: ...

    @property
    def exercises(self) -> Kept[Exercise]: ...

    @property
    def stakeholders(self) -> Kept[Stakeholder]: ...

    @property
    def receipts(self) -> Kept[Receipt]: ...


def _each_once(ids: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(ids)) < len(ids):
        raise ValueError("names somebody twice")
    return ids


Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
"""A code of reference data that another service owns."""

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]+$", max_length=64)]

Ids = Annotated[tuple[Id, ...], FROM_JSON, AfterValidator(_each_once)]

MOST_PARTICIPANTS = 1_000
"""More would not fit an event comfortably; larger audiences are a survey's or a mailing's business."""
