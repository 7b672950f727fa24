"""Old data, new class: one function from version N to N + 1, next to the class that needs it."""

from collections.abc import Callable
from typing import Any

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
Upcasters = dict[tuple[str, int], Upcaster]

UPCASTERS: Upcasters = {}
"""Upcasters of the real events, by (family, version they lift from)."""


def upcasts(family: str, from_version: int, registry: Upcasters = UPCASTERS) -> Callable[[Upcaster], Upcaster]:
    """Registers a function that turns data of `family.v<from_version>` into data of the version after it.

    It is given a dict of its own and may change it. Raises ValueError where two would do the same step.
    """

    def register(upcaster: Upcaster) -> Upcaster:
        if registry.setdefault((family, from_version), upcaster) is not upcaster:
            raise ValueError(f"{family} has two upcasters from version {from_version}")
        return upcaster

    return register
