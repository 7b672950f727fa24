"""The questions behind the measures: which answers there are, and which of them count."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, slots=True)
class Answer:
    code: str
    label: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question in one wording.

    `version` counts wordings and codings; `series` changes only where a new one breaks comparison with what was before.
    `left_out` answers are no part of the base. `unknown` answers (complaints whose group nobody noted) are left out too
    and bound the share in the worst case. `measures` are the rows of Annex B that read this question; `wording` says
    whether the text is the source's or ours.
    """

    code: str
    version: int
    series: int
    text: str
    wording: str
    answers: tuple[Answer, ...]
    counts: frozenset[str]
    left_out: frozenset[str]
    unknown: frozenset[str]
    measures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Instrument:
    """A survey or a record that answers come from; `source` is its name in Annex B (SS, PPT, complaints)."""

    code: str
    source: str
    title: str
    version: int
    questions: tuple[Question, ...]


def load_instruments(text: str | None = None) -> tuple[Instrument, ...]:
    """The catalogue of data/instruments.json, or of another text in the same form."""
    if text is None:
        text = (resources.files("measures") / "data" / "instruments.json").read_text("utf-8")
    return tuple(
        Instrument(
            each["code"],
            each["source"],
            each["title"],
            each["version"],
            tuple(_question(question) for question in each["questions"]),
        )
        for each in json.loads(text)["instruments"]
    )


def questions_by_measure(instruments: tuple[Instrument, ...]) -> Mapping[str, tuple[Instrument, Question]]:
    """Which question each row of Annex B reads."""
    return {
        measure: (instrument, question)
        for instrument in instruments
        for question in instrument.questions
        for measure in question.measures
    }


def _question(raw: dict[str, object]) -> Question:
    match raw:
        case {
            "code": str(code),
            "version": int(version),
            "series": int(series),
            "text": str(text),
            "wording": str(wording),
            "answers": list(answers),
            "counts": list(counts),
            "left_out": list(left_out),
            "unknown": list(unknown),
            "measures": list(measures),
        }:
            return Question(
                code,
                version,
                series,
                text,
                wording,
                tuple(Answer(each["code"], each["label"]) for each in answers),
                frozenset(counts),
                frozenset(left_out),
                frozenset(unknown),
                tuple(measures),
            )
    raise ValueError(f"not a question: {raw!r}")
