"""A stakeholder: a person, an organisation or a community, where it stands, and what it agreed to."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from registry.domain.consent import (
    Channel,
    Consent,
    ConsentInFuture,
    ConsentNeverGranted,
    ConsentWithdrawnSince,
    Proof,
    Purpose,
)
from registry.domain.reference import Landscape

ERASED = "erased"
"""What stands where a name was."""


class StakeholderNotFound(Exception):
    pass


class StakeholderGone(Exception):
    """It was erased at its own wish: nothing is written about it any more."""


class ReferenceTaken(Exception):
    """Another stakeholder is registered under this reference."""


class Kind(StrEnum):
    PERSON = "person"
    ORGANISATION = "organisation"
    COMMUNITY = "community"


@dataclass(slots=True, kw_only=True)
class Stakeholder:
    """`name`, `email`, `phone` and `reference` are sealed at rest; `name_index` and `reference_index` are keyed hashes.

    There is no stance in it: who is for or against decides nothing (A5).
    """

    id: str
    version: int = 0
    kind: Kind
    name: str
    email: str | None = None
    phone: str | None = None
    reference: str | None = None
    """What the source of an import calls it."""
    category: str | None
    subtype: str | None
    segment: str | None
    region: str | None
    confidence_groups: tuple[str, ...] = ()
    taxonomy_version: int
    synthetic: bool
    consents: tuple[Consent, ...] = ()
    name_index: tuple[str, ...] = ()
    reference_index: str | None = None
    registered_on: date
    erased_on: date | None = None

    def check_present(self) -> None:
        """Raises StakeholderGone."""
        if self.erased_on is not None:
            raise StakeholderGone(f"erased on {self.erased_on}")

    def code(self, landscape: Landscape) -> None:
        """Take a place in the landscape, and the survey segment that follows from it."""
        self.category, self.subtype, self.segment = landscape.category, landscape.subtype, landscape.segment
        self.taxonomy_version = landscape.version

    def consent(self, purpose: Purpose, channel: Channel) -> Consent | None:
        """What stands for a purpose and a channel, withdrawn or not; None: never granted."""
        return next((c for c in self.consents if (c.purpose, c.channel) == (purpose, channel)), None)

    def grant(self, purpose: Purpose, channel: Channel, proof: Proof, granted_at: datetime, now: datetime) -> bool:
        """Note an agreement; whether anything is new. An agreement that stands keeps its first date and proof.

        Raises ConsentInFuture; ConsentWithdrawnSince where it was withdrawn after `granted_at`.
        """
        if granted_at > now:
            raise ConsentInFuture("consent cannot be given in the future")
        present = self.consent(purpose, channel)
        if present is not None and present.withdrawn_at is None:
            return False
        if present is not None and present.withdrawn_at is not None and granted_at < present.withdrawn_at:
            raise ConsentWithdrawnSince("it was withdrawn after this was given")
        granted = Consent(purpose=purpose, channel=channel, proof=proof, granted_at=granted_at)
        self.consents = (*(c for c in self.consents if c is not present), granted)
        return True

    def withdraw(self, purpose: Purpose, channel: Channel, proof: Proof, now: datetime) -> bool:
        """Take an agreement back; whether anything is new. Raises ConsentNeverGranted."""
        present = self.consent(purpose, channel)
        if present is None:
            raise ConsentNeverGranted(f"consent for {purpose} by {channel} was never granted")
        if present.withdrawn_at is not None:
            return False
        present.withdrawn_at, present.withdrawal_proof = now, proof
        return True

    def erase(self, today: date) -> None:
        """Keep what counts and nobody is known by: kind, region, segment, and the two days."""
        self.name = ERASED
        self.email = self.phone = self.reference = self.reference_index = None
        self.category = self.subtype = None
        self.confidence_groups = ()
        self.consents = ()
        self.name_index = ()
        self.erased_on = today


@dataclass(slots=True, kw_only=True)
class TakenReference:
    """That a reference is taken, and by whom; `id` is its keyed hash, so that two can never take the same one."""

    id: str
    version: int = 0
    stakeholder_id: str
