"""The exact integers behind every figure. Folding in any order, and any recomputation, gives the same bits."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Self

WEIGHT_UNIT = 10_000
"""Weights are integers of 1/10,000: 10_000 is one answer's worth."""
LARGEST_WEIGHT = 20 * WEIGHT_UNIT


class InvalidWeight(ValueError):
    """A weight that is not an integer from 1 to 200,000 (of 1/10,000)."""


def weight_of(text: str | Decimal) -> int:
    """The integer weight of a decimal such as "1.2345": above 0, at most 20, at most 4 places. Raises InvalidWeight."""
    try:
        scaled = Decimal(text) * WEIGHT_UNIT
    except InvalidOperation:
        raise InvalidWeight(f"{text!r} is not a decimal number") from None
    if not scaled.is_finite() or scaled != scaled.to_integral_value():
        raise InvalidWeight(f"a weight has at most 4 decimal places: {text}")
    return checked(int(scaled))


def checked(weight: int) -> int:
    """The weight itself when it is allowed. Raises InvalidWeight."""
    if not 0 < weight <= LARGEST_WEIGHT:
        raise InvalidWeight(f"a weight is above 0 and at most 20: {Decimal(weight) / WEIGHT_UNIT}")
    return weight


@dataclass(frozen=True, slots=True)
class Tally:
    """One answer code's part of a read model: how many answers, sum of weights, sum of squared weights."""

    n: int = 0
    w: int = 0
    ww: int = 0

    @classmethod
    def one(cls, weight: int = WEIGHT_UNIT) -> Self:
        """A single answer. Raises InvalidWeight."""
        return cls(1, checked(weight), weight * weight)

    def __add__(self, other: Self) -> Self:
        return type(self)(self.n + other.n, self.w + other.w, self.ww + other.ww)

    def __sub__(self, other: Self) -> Self:
        """Takes answers out again (a withdrawn response)."""
        return type(self)(self.n - other.n, self.w - other.w, self.ww - other.ww)

    @classmethod
    def total(cls, tallies: Iterable[Self]) -> Self:
        return sum(tallies, cls())


@dataclass(frozen=True, slots=True)
class Cells:
    """n, Σw, Σw², Σwy, Σw²y, where y is 1 for an answer that counts and 0 for any other in the base."""

    n: int = 0
    w: int = 0
    ww: int = 0
    wy: int = 0
    wwy: int = 0

    @classmethod
    def of(cls, tallies: Mapping[str, Tally], counts: Collection[str], left_out: Collection[str] = ()) -> Self:
        """Cells of a question from the tallies per answer code.

        `counts` are the codes that count; `left_out` (refused, not asked) are no part of the base; every other code,
        "don't know" included, is in the base and does not count.
        """
        base = Tally.total(tally for code, tally in tallies.items() if code not in left_out)
        yes = Tally.total(tally for code, tally in tallies.items() if code in counts and code not in left_out)
        return cls(base.n, base.w, base.ww, yes.w, yes.ww)

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.n + other.n, self.w + other.w, self.ww + other.ww, self.wy + other.wy, self.wwy + other.wwy
        )

    def __sub__(self, other: Self) -> Self:
        """Everyone but these: how the rest of the country is made from everyone and one region."""
        return type(self)(
            self.n - other.n, self.w - other.w, self.ww - other.ww, self.wy - other.wy, self.wwy - other.wwy
        )

    @property
    def share(self) -> float:
        """Σwy/Σw, rounded once. Raises ZeroDivisionError on an empty base."""
        return self.wy / self.w

    @property
    def effective_base(self) -> float:
        """Kish: (Σw)²/Σw², 0.0 on an empty base."""
        return self.w * self.w / self.ww if self.ww else 0.0
