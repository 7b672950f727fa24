"""Which day it is for those who were promised something."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/London")
"""Where the body of the strategy makes its promises: a day ends at midnight there, summer time included."""


class ImpossibleDate(Exception):
    """A date that cannot be: something in the future that was, or in the past that is to come."""


def day_of(moment: datetime) -> date:
    """The day in the promise's time zone at a moment (with its own time zone)."""
    return moment.astimezone(ZONE).date()
