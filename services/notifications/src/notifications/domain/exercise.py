"""What this service remembers of an engagement exercise."""

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Exercise:
    """The id is the exercise's. Its later events do not repeat whether it is synthetic, and messages must say so."""

    id: str
    synthetic: bool
    version: int = 0
