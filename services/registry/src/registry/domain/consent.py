"""Agreement to be reached for a purpose on a channel: given, with proof, and taken back at any time."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ConsentNeverGranted(Exception):
    """There is nothing to withdraw."""


class ConsentWithdrawnSince(Exception):
    """An agreement turns up that is older than its withdrawal: the later word counts."""


class ConsentInFuture(Exception):
    """Nobody has agreed yet to what is dated tomorrow."""


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
    """How somebody said so."""

    FORM = "form"
    VERBAL = "verbal"
    IMPORT = "import"


@dataclass(slots=True, kw_only=True)
class Consent:
    """The present state for one purpose and channel; what came before is in the journal."""

    purpose: Purpose
    channel: Channel
    proof: Proof
    granted_at: datetime
    withdrawn_at: datetime | None = None
    withdrawal_proof: Proof | None = None

    @property
    def active(self) -> bool:
        return self.withdrawn_at is None
