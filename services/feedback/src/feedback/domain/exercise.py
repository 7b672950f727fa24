"""Exercises of engagement, as far as a wave needs them: our copy of another service's fact."""

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Exercise:
    id: str
    version: int = 0
    synthetic: bool
