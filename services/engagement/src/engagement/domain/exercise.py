"""An engagement exercise: who may say what about which decision, and by when they get an answer."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from engagement.domain.calendar import ImpossibleDate, day_of
from engagement.domain.participation import Level, Method, Role


class ExerciseNotFound(Exception):
    pass


class ExerciseUnknown(Exception):
    """A record names an exercise that does not exist."""


class OrganiserDecides(Exception):
    """A promise is the decision maker's, who is somebody else than the organiser (demand D3)."""


class AlreadyReplied(Exception):
    """There is one reply to an exercise, and it is published."""


class PromiseState(StrEnum):
    """A promise stands until a reply keeps it or its day passes. Broken stays broken, whatever is said later."""

    STANDING = "standing"
    KEPT = "kept"
    BROKEN = "broken"


@dataclass(slots=True, kw_only=True)
class Exercise:
    """Open until it is replied to; title, promise and reply are sealed under the exercise itself."""

    id: str
    version: int = 0
    title: str
    level: Level
    method: Method
    region: str | None
    participants: tuple[str, ...]
    organiser: Role
    decision_maker: Role
    promise: str
    reply_due: date
    opened_on: date
    synthetic: bool
    recorded_at: datetime
    """When it was known, beside `opened_on`, when it was true."""
    recorded_by: str
    promise_state: PromiseState = PromiseState.STANDING
    broken_on: date | None = None
    reply: str | None = None
    replied_on: date | None = None
    reply_event: str | None = None
    """The id of the event that told of the reply: receipts name it as their cause."""

    def overdue(self, today: date) -> bool:
        """Whether the promise stands although its day has passed; the day itself still counts."""
        return self.promise_state is PromiseState.STANDING and today > self.reply_due

    def break_promise(self, today: date) -> None:
        self.promise_state = PromiseState.BROKEN
        self.broken_on = today

    def publish(self, reply: str, today: date) -> None:
        """The answer. It keeps a promise that still stands; call `break_promise` first where it is overdue."""
        self.reply = reply
        self.replied_on = today
        if self.promise_state is PromiseState.STANDING:
            self.promise_state = PromiseState.KEPT


def check_promise(organiser: Role, decision_maker: Role) -> None:
    """Raises OrganiserDecides."""
    if organiser is decision_maker:
        raise OrganiserDecides("the decision maker must be another role than the organiser")


def check_dates(opened_on: date, reply_due: date, now: datetime) -> None:
    """Raises ImpossibleDate.

    The reply is due after the day of opening, so an exercise that opens today promises a day in the future. One that
    is recorded late, with a day of opening in the past, may be overdue already: the clock will say so at once.
    """
    if opened_on > day_of(now):
        raise ImpossibleDate("an exercise is opened today, or was on a day in the past: opened_on is in the future")
    if reply_due <= opened_on:
        raise ImpossibleDate("the reply must be due after the day of opening")


def check_unanswered(exercise: Exercise) -> None:
    """Raises AlreadyReplied."""
    if exercise.reply_event is not None:
        raise AlreadyReplied(f"the reply was published on {exercise.replied_on}")
