"""Amend what is known of a stakeholder."""

from typing import Self

from pydantic import Field, model_validator
from rapport_events.registry import StakeholderAmended
from rapport_ports import Command

from registry.domain.reference import reference
from registry.domain.stakeholder import Stakeholder
from registry.usecases import Code, Codes, Email, Id, Name, Phone, StakeholderKind, Unit, day_of
from registry.usecases.read_stakeholder import read_stakeholder
from registry.usecases.register_stakeholder import facts, name_index

_FACTS = (
    "kind",
    "name",
    "email",
    "phone",
    "category",
    "subtype",
    "segment",
    "region",
    "confidence_groups",
    "taxonomy_version",
)
_NEVER_EMPTY = ("kind", "name", "category", "confidence_groups")


class Amendment(Command):
    """What is absent stays as it is; null says that it is not known."""

    kind: StakeholderKind | None = None
    name: Name | None = None
    email: Email | None = None
    phone: Phone | None = None
    category: Code | None = Field(default=None, description="Codes it anew, with today's version of the taxonomy")
    subtype: Code | None = Field(default=None, description="Codes it anew, with today's version of the taxonomy")
    region: Code | None = None
    confidence_groups: Codes | None = None

    @model_validator(mode="after")
    def _keep_what_must_be_known(self) -> Self:
        emptied = [field for field in _NEVER_EMPTY if field in self.model_fields_set and getattr(self, field) is None]
        if emptied:
            raise ValueError(f"cannot be null: {', '.join(emptied)}")
        return self


class AmendStakeholder(Command):
    stakeholder_id: Id
    amendment: Amendment


async def amend_stakeholder(command: AmendStakeholder, unit: Unit) -> Stakeholder:
    """The stakeholder as it is now; an amendment that changes nothing tells nothing.

    Raises StakeholderNotFound, StakeholderGone, UnknownCode, SubtypeOfAnotherCategory, OutOfReach.
    """
    stakeholder = await read_stakeholder(command.stakeholder_id, unit)
    today = day_of(unit.now)
    new = {field: getattr(command.amendment, field) for field in command.amendment.model_fields_set}
    reference().check_region(new.get("region"), today)
    reference().check_groups(new.get("confidence_groups", ()), today)
    landscape = None
    if new.keys() & {"category", "subtype"}:
        category = new.pop("category", stakeholder.category)
        landscape = reference().landscape(category, new.pop("subtype", stakeholder.subtype), today)

    before = {field: getattr(stakeholder, field) for field in _FACTS}
    for field, value in new.items():
        setattr(stakeholder, field, value)
    if landscape is not None:
        stakeholder.code(landscape)
    changed = tuple(field for field in _FACTS if getattr(stakeholder, field) != before[field])
    if not changed:
        return stakeholder
    if "name" in changed:
        stakeholder.name_index = name_index(stakeholder.name, unit)
    unit.stakeholders.save(stakeholder)
    unit.emit(StakeholderAmended(**facts(stakeholder), changed=changed, amended_on=today))
    return stakeholder
