"""Responses: what one person told us, kept so that an anonymous one leads nowhere (H10)."""

import base64
import uuid
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from feedback.domain.instrument import Edition
from feedback.domain.wave import Wave

ERASED = "erased"
"""What stands where the words of an erased person were."""

WEIGHT_UNIT = 10_000
"""Weights are whole ten-thousandths, so that sums of them are exact."""
WEIGHT_MAX = 20


class ResponseInvalid(Exception):
    """It does not fit the instrument; the text names questions of the instrument, never what was sent."""


class DayOutsideField(Exception):
    """The day is not one of the wave's field period, or is still to come."""


class ReferenceReused(Exception):
    """The collector's reference stands for another response."""


class StakeholderErased(Exception):
    """Whoever was erased is not linked to anything new."""


@dataclass(slots=True, kw_only=True)
class Response:
    """`weight` is in ten-thousandths; `subject` is whose key seals the comment: the stakeholder's, or its own."""

    id: str
    version: int = 0
    wave_id: str
    answers: dict[str, str]
    groups: tuple[str, ...] = ()
    region: str | None = None
    weight: int = WEIGHT_UNIT
    day: date
    stakeholder_id: str | None = None
    subject: str
    comment: str | None = None
    synthetic: bool
    event_id: str = ""
    """The event that told of it."""

    def says_the_same(self, other: "Response") -> bool:
        """Whether two arrivals under one reference are one response; the day of arrival may differ."""
        return (self.answers, set(self.groups), self.region, self.weight) == (
            other.answers,
            set(other.groups),
            other.region,
            other.weight,
        )

    def unlink(self) -> None:
        """Forget who answered; the coded answers stay."""
        self.stakeholder_id = None
        self.subject = self.id
        if self.comment is not None:
            self.comment = ERASED


def response_id(secret: bytes) -> str:
    """A UUIDv8 (RFC 9562, 5.8) of 16 bytes, which tells neither a time nor an order."""
    bits = int.from_bytes(secret[:16])
    bits = bits & ~(0xF << 76) | 8 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=bits))


def response_id_of(blinded: str) -> str:
    """The id that belongs to a reference, by its keyed hash (base64url, 128 bits): without the key no way leads back."""
    return response_id(base64.urlsafe_b64decode(blinded + "=" * (-len(blinded) % 4)))


def check_fits(
    edition: Edition,
    *,
    answers: dict[str, str],
    groups: tuple[str, ...],
    region: str | None,
    weight: Decimal | None,
) -> None:
    """Raises ResponseInvalid with everything that is wrong."""
    faults = []
    unknown = 0
    for code, answer in answers.items():
        question = edition.question(code)
        if question is None:
            unknown += 1
        elif answer not in question.answer_codes:
            faults.append(f"{code}: not one of its answers")
    if unknown:
        faults.append(f"answers to {unknown} questions that are not asked")
    if any(group not in edition.groups for group in groups):
        faults.append("groups: one of them is not listed by the instrument")
    if len(set(groups)) < len(groups):
        faults.append("groups: one of them stands twice")
    if region is not None and region not in edition.regions:
        faults.append("region: not listed by the instrument")
    if weight is not None and not edition.weighted:
        faults.append("weight: the instrument is not weighted")
    if faults:
        raise ResponseInvalid("; ".join(faults))


def weight_of(weight: Decimal | None) -> int:
    """In whole ten-thousandths; the input has at most four decimals."""
    return WEIGHT_UNIT if weight is None else int(weight * WEIGHT_UNIT)


def day_in_field(wave: Wave, day: date | None, today: date) -> date:
    """The day of a response: today, or the day it was given on if that is said. Raises DayOutsideField.

    What arrives while the wave is open counts, even after its planned end: only a day that is said is held against it.
    """
    if day is None:
        return today
    if not wave.starts_on <= day <= wave.ends_on or day > today:
        raise DayOutsideField(f"the field period is {wave.starts_on} to {wave.ends_on}")
    return day
