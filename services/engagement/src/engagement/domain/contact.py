"""A contact: one engagement or communication with stakeholders, as it took place."""

from dataclasses import dataclass
from datetime import date, datetime

from engagement.domain.calendar import ImpossibleDate, day_of
from engagement.domain.participation import Level, Method, Mode, Nature

ERASED = "erased"
"""What is read in the place of words whose key is gone."""


class ContactNotFound(Exception):
    pass


@dataclass(slots=True, kw_only=True)
class Contact:
    id: str
    version: int = 0
    subject: str
    """Under whose key the notes are sealed: the one participant, or the contact itself where there are several."""
    participants: tuple[str, ...]
    region: str | None
    level: Level
    nature: Nature
    mode: Mode
    method: Method
    held_on: date
    notes: str | None
    exercise_id: str | None
    activity_id: str | None
    synthetic: bool
    logged_at: datetime
    """When it was known, beside `held_on`, when it was true."""
    logged_by: str
    case_id: str | None = None
    team: tuple[str, ...] | None = None
    """Subjects of the tokens of those who work on the case, the only ones for whom the contact is there; None: no case."""


def subject_of(contact_id: str, participants: tuple[str, ...]) -> str:
    """Whose erasure makes the notes unreadable."""
    return participants[0] if len(participants) == 1 else contact_id


def team_of(named: tuple[str, ...], logged_by: str) -> tuple[str, ...]:
    """Those who are named, and whoever logs the contact."""
    return tuple(dict.fromkeys((*named, logged_by)))


def check_held(held_on: date, now: datetime) -> None:
    """Raises ImpossibleDate for a contact that has not happened yet."""
    if held_on > day_of(now):
        raise ImpossibleDate("a contact is logged once it has taken place: held_on is in the future")
