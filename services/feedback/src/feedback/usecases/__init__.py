"""What one can do here, one file each; and what a use case may ask of its unit of work."""

from typing import Annotated, Protocol

import rapport_ports as ports
from pydantic import StringConstraints
from rapport_ports import FROM_JSON, Kept

from feedback.domain.exercise import Exercise
from feedback.domain.instrument import Edition, Instrument
from feedback.domain.respondent import Respondent
from feedback.domain.response import Response
from feedback.domain.wave import Wave


class Unit(ports.Unit, Protocol):
    """The unit of work of this service."""

    @property
    def instruments(self) -> Kept[Instrument]: ...

    @property
    def waves(self) -> Kept[Wave]: ...

    @property
    def responses(self) -> Kept[Response]: ...

    @property
    def respondents(self) -> Kept[Respondent]: ...

    @property
    def exercises(self) -> Kept[Exercise]: ...

    async def edition(self, instrument_id: str, number: int, /) -> Edition: ...


Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*$", max_length=64)]
Codes = Annotated[tuple[Code, ...], FROM_JSON]
Reference = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]+$", max_length=200)]
"""The collector's own id of a response: visible ASCII."""
