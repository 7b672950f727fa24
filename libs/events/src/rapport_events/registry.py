"""Who there is, and under what agreement: events of the registry."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from rapport_events.event import Event, Sealed
from rapport_events.fields import Region, StakeholderId, Synthetic


class Kind(StrEnum):
    PERSON = "person"
    ORGANISATION = "organisation"
    COMMUNITY = "community"


class Category(StrEnum):
    """Landscape of stakeholders (demands A1, A2)."""

    SERVICE_USERS = "service-users"
    NON_STATUTORY = "non-statutory"
    STATUTORY = "statutory"
    PUBLIC = "public"
    MEDIA = "media"
    STAFF = "staff"


class Segment(StrEnum):
    """Segment of the stakeholder survey (demand A4)."""

    POLICE = "police"
    POLICE_ACCOUNTABILITY = "police-accountability"
    NON_POLICE = "non-police"


class Purpose(StrEnum):
    UPDATES = "updates"
    RESEARCH = "research"
    ENGAGEMENT = "engagement"


class Channel(StrEnum):
    EMAIL = "email"
    WEBHOOK = "webhook"
    PHONE = "phone"
    POST = "post"


class Proof(StrEnum):
    FORM = "form"
    VERBAL = "verbal"
    IMPORT = "import"


class StakeholderFacts(Event):
    """The full facts as they are after the event, so that a consumer keeps its copy from either event."""

    stakeholder_id: StakeholderId
    kind: Annotated[str, Field(description="person, organisation, community")]
    category: Annotated[str, Field(description="Landscape category: service-users, non-statutory, statutory, public …")]
    subtype: Annotated[str | None, Field(description="Subtype within the category")] = None
    segment: Annotated[
        str | None,
        Field(description="Survey segment by the cross-walk from the landscape; absent: none, never guessed"),
    ] = None
    region: Region = None
    confidence_groups: Annotated[
        tuple[str, ...], Field(description="Groups of low confidence it belongs to or stands for")
    ] = ()
    taxonomy_version: Annotated[int, Field(ge=1, description="Version of the reference data it was coded with")]
    name: Annotated[Sealed, Field(description="Name, sealed under the stakeholder")]
    synthetic: Synthetic


class StakeholderRegistered(StakeholderFacts):
    """A person, organisation or community of interest entered the registry."""

    type = "registry.stakeholder.registered.v1"
    key = "stakeholder_id"

    registered_on: Annotated[date, Field(description="Day of registration")]


class StakeholderAmended(StakeholderFacts):
    """Facts about a stakeholder changed; carries all of them as they are now."""

    type = "registry.stakeholder.amended.v1"
    key = "stakeholder_id"

    changed: Annotated[tuple[str, ...], Field(description="Names of the facts that changed")]
    amended_on: Annotated[date, Field(description="Day of the change")]


class ConsentGranted(Event):
    """A stakeholder agreed to be reached for a purpose on a channel."""

    type = "registry.stakeholder.consent-granted.v1"
    key = "stakeholder_id"

    stakeholder_id: StakeholderId
    purpose: Annotated[str, Field(description="What for: updates, research, engagement …")]
    channel: Annotated[str, Field(description="By what means: email, webhook, phone, post …")]
    proof: Annotated[str, Field(description="How it was given: form, verbal, import …")]
    granted_at: Annotated[datetime, Field(description="When it was given")]


class ConsentWithdrawn(Event):
    """A stakeholder no longer agrees to be reached for a purpose on a channel."""

    type = "registry.stakeholder.consent-withdrawn.v1"
    key = "stakeholder_id"

    stakeholder_id: StakeholderId
    purpose: Annotated[str, Field(description="What for: updates, research, engagement …")]
    channel: Annotated[str, Field(description="By what means: email, webhook, phone, post …")]
    withdrawn_at: Annotated[datetime, Field(description="When it was withdrawn")]


class StakeholderErased(Event):
    """A stakeholder was erased: its key is destroyed, and whatever was sealed under it is unreadable."""

    type = "registry.stakeholder.erased.v1"
    key = "stakeholder_id"

    stakeholder_id: StakeholderId
    erased_on: Annotated[date, Field(description="Day of erasure")]
