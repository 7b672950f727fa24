"""Whole people in exact shares."""

from collections.abc import Sequence
from fractions import Fraction


class Inexact(ValueError):
    """A share that no whole number of people has."""


def people(percent: str, base: int) -> int:
    """How many of `base` people are `percent` per cent. Raises Inexact."""
    exact = Fraction(percent) * base / 100
    if exact.denominator != 1:
        raise Inexact(f"{percent} % of {base} people is {float(exact):g}")
    return exact.numerator


def split(total: int, parts: Sequence[Fraction | int]) -> list[int]:
    """`total` in whole numbers as close to the proportions of `parts` as can be (largest remainders)."""
    whole = sum(parts)
    if not whole:
        return [0] * len(parts)
    ideal = [Fraction(total) * part / whole for part in parts]
    given = [int(each) for each in ideal]
    by_remainder = sorted(range(len(parts)), key=lambda i: (given[i] - ideal[i], i))
    for i in by_remainder[: total - sum(given)]:
        given[i] += 1
    return given
