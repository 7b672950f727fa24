"""Register a person, an organisation or a community of interest."""

from typing import Any

from pydantic import Field
from rapport_events.event import Sealed
from rapport_events.registry import StakeholderRegistered
from rapport_ports import Command

from registry.domain import name
from registry.domain.reference import reference
from registry.domain.stakeholder import ReferenceTaken, Stakeholder, TakenReference
from registry.usecases import Code, Codes, Email, Name, Phone, SourceReference, StakeholderKind, Unit, day_of


class RegisterStakeholder(Command):
    kind: StakeholderKind
    name: Name = Field(description="Sealed under the stakeholder's own key")
    email: Email | None = Field(default=None, description="Sealed")
    phone: Phone | None = Field(default=None, description="Sealed")
    category: Code = Field(description="Landscape category, see /reference")
    subtype: Code | None = Field(default=None, description="Subtype of the category; absent: not known")
    region: Code | None = Field(default=None, description="Region, see /reference; absent: not known")
    confidence_groups: Codes = Field(default=(), description="Groups of low confidence it belongs to or stands for")
    reference: SourceReference | None = Field(
        default=None, description="What another system calls it; nobody else may have the same. Sealed"
    )
    synthetic: bool = Field(default=False, description="Made-up data, kept apart from real figures")


async def register_stakeholder(command: RegisterStakeholder, unit: Unit) -> Stakeholder:
    """Raises ReferenceTaken, UnknownCode, SubtypeOfAnotherCategory, OutOfReach."""
    reference_index = reference_hash(command.reference, unit)
    if reference_index is not None and await unit.references.get(reference_index) is not None:
        raise ReferenceTaken("a stakeholder is registered under this reference")
    return enter(command, reference_index, unit)


def enter(command: RegisterStakeholder, reference_index: str | None, unit: Unit) -> Stakeholder:
    """Register under a reference that is known to be free. Raises UnknownCode, SubtypeOfAnotherCategory, OutOfReach."""
    today = day_of(unit.now)
    landscape = reference().landscape(command.category, command.subtype, today)
    reference().check_region(command.region, today)
    reference().check_groups(command.confidence_groups, today)
    stakeholder = Stakeholder(
        id=unit.new_id(),
        kind=command.kind,
        name=command.name,
        email=command.email,
        phone=command.phone,
        reference=command.reference,
        category=landscape.category,
        subtype=landscape.subtype,
        segment=landscape.segment,
        region=command.region,
        confidence_groups=command.confidence_groups,
        taxonomy_version=landscape.version,
        synthetic=command.synthetic,
        name_index=name_index(command.name, unit),
        reference_index=reference_index,
        registered_on=today,
    )
    unit.stakeholders.add(stakeholder)
    if reference_index is not None:
        unit.references.add(TakenReference(id=reference_index, stakeholder_id=stakeholder.id))
    unit.emit(StakeholderRegistered(**facts(stakeholder), registered_on=today))
    return stakeholder


def facts(stakeholder: Stakeholder) -> dict[str, Any]:
    """What events tell of a stakeholder: all facts as they are, and of its words the name alone, sealed."""
    return {
        "stakeholder_id": stakeholder.id,
        "kind": stakeholder.kind,
        "category": stakeholder.category,
        "subtype": stakeholder.subtype,
        "segment": stakeholder.segment,
        "region": stakeholder.region,
        "confidence_groups": stakeholder.confidence_groups,
        "taxonomy_version": stakeholder.taxonomy_version,
        "name": Sealed.of(stakeholder.id, stakeholder.name),
        "synthetic": stakeholder.synthetic,
    }


def name_index(text: str, unit: Unit) -> tuple[str, ...]:
    """Keyed hashes of the beginnings of a name's words; sorted, so that their order tells nothing."""
    return tuple(sorted(unit.blind(f"name:{prefix}") for prefix in name.prefixes(text)))


def reference_hash(text: str | None, unit: Unit) -> str | None:
    """The keyed hash under which a reference is taken."""
    return None if text is None else unit.blind(f"reference:{text}")
