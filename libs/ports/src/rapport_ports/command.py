"""What a use case is given: strict, complete, and silent about what it holds."""

import re
from datetime import date
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Strict

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Command(BaseModel):
    """Input of a use case: nothing converted, nothing unknown, and no value quoted in an error."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


FROM_JSON: Final = Strict(strict=False)
"""For what JSON has no type of its own: a code of an enumeration, a fixed list, a time. Their parts stay strict."""


def _day(given: object) -> object:
    if not isinstance(given, str):
        return given
    if not _DAY.fullmatch(given):
        raise ValueError("is no date such as 2019-06-03")
    return date.fromisoformat(given)


Day = Annotated[date, BeforeValidator(_day)]
"""A full-date of RFC 3339."""
