"""What one can do here, one file each; and what a use case may ask of its unit of work."""

import re
from datetime import date, datetime
from typing import Annotated, Protocol

import rapport_ports as ports
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints
from rapport_ports import FROM_JSON, Kept

from registry.domain.consent import Channel, Proof, Purpose
from registry.domain.stakeholder import Kind, Stakeholder, TakenReference

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}")


class Unit(ports.Unit, Protocol):
    """The unit of work of this service."""

    @property
    def stakeholders(self) -> Kept[Stakeholder]: ...

    @property
    def references(self) -> Kept[TakenReference]: ...


def _each_once(codes: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(codes)) < len(codes):
        raise ValueError("names a code twice")
    return codes


def _spelled(value: object) -> object:
    if not (isinstance(value, datetime) or (isinstance(value, str) and _TIME.match(value))):
        raise ValueError("a time as RFC 3339 has it, such as 2019-06-01T09:30:00Z")
    return value


Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
"""A code of the reference data; whether it exists is for the reference data to say."""
Codes = Annotated[tuple[Code, ...], FROM_JSON, Field(max_length=50), AfterValidator(_each_once)]
StakeholderKind = Annotated[Kind, FROM_JSON]
ConsentPurpose = Annotated[Purpose, FROM_JSON]
ConsentChannel = Annotated[Channel, FROM_JSON]
ConsentProof = Annotated[Proof, FROM_JSON]
Moment = Annotated[AwareDatetime, FROM_JSON, BeforeValidator(_spelled)]
Name = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+$",
    ),
]
"""One line, and nothing in it that hides or turns its text: a file is read by other doors than a body."""
Email = Annotated[
    str,
    StringConstraints(max_length=254, pattern=r"^[!-?A-~]{1,64}@[!-\-/-?A-~]+(\.[!-\-/-?A-~]+)+$"),
]
"""Visible ASCII, so that no letter of another alphabet passes for a Latin one."""
Phone = Annotated[str, StringConstraints(pattern=r"^\+?[0-9][0-9 ()-]{3,24}$")]
SourceReference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:-]{0,63}$")]


def day_of(now: datetime) -> date:
    """The day of a moment, UTC."""
    return now.date()
