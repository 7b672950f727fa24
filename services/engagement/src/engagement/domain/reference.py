"""Annex C as data: the ladder of participation, the natures of a contact, the methods."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderStep:
    code: str
    name: str
    question: str
    """What the exercise will do, as the planning framework's question 5 puts it."""
    purpose: str
    why: str
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    code: str
    name: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    source: str
    version: int
    levels: tuple[LadderStep, ...]
    natures: tuple[Described, ...]
    methods: tuple[Described, ...]


@cache
def reference() -> Reference:
    """The reference data of this release, with the source it was taken from."""
    read = json.loads(files("engagement").joinpath("data/annex_c.json").read_text(encoding="utf-8"))
    return Reference(
        source=read["source"],
        version=read["version"],
        levels=tuple(LadderStep(**{**step, "examples": tuple(step["examples"])}) for step in read["levels"]),
        natures=tuple(Described(**nature) for nature in read["natures"]),
        methods=tuple(Described(**method) for method in read["methods"]),
    )
