"""Respondents: stakeholders who answered under their name, so that an erasure finds all they said."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from feedback.domain.response import StakeholderErased

MOST_A_DAY = 50
"""Responses under one name in a day: more are no answers of a person, they stuff the ballot box."""


class AnsweredTooOften(Exception):
    """429; `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"more than {MOST_A_DAY} responses of one person in a day; try again in {retry_after} s")
        self.retry_after = retry_after


@dataclass(slots=True, kw_only=True)
class Respondent:
    """Written with each response of the stakeholder and with its erasure, so that neither can miss the other."""

    id: str
    version: int = 0
    erased: bool = False
    answered_on: date | None = None
    answers: int = 0
    """On the day of `answered_on`."""

    def check_present(self) -> None:
        """Raises StakeholderErased."""
        if self.erased:
            raise StakeholderErased("the stakeholder was erased")

    def answer(self, now: datetime) -> None:
        """Count a response, in the transaction that keeps it, so that all processes agree.

        Raises StakeholderErased, AnsweredTooOften.
        """
        self.check_present()
        today = now.date()
        if self.answered_on != today:
            self.answered_on, self.answers = today, 0
        if self.answers >= MOST_A_DAY:
            midnight = datetime.combine(today + timedelta(days=1), time(), UTC)
            raise AnsweredTooOften(int((midnight - now).total_seconds()) + 1)
        self.answers += 1
