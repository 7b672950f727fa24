"""What a platform needs before it can listen: the strategy's own data, and somebody to listen to."""

import json
from collections.abc import Collection
from typing import Any

import httpx
from measures.domain.instrument import Instrument

from rapport_cli.client import Client, refusal
from rapport_cli.errors import CommandError
from rapport_cli.synthetic import stakeholders

GROUPS = {
    "stakeholder-survey": ("police", "police-accountability", "non-police"),
    "public-perceptions-tracker": ("bame", "young-18-24", "disability", "grade-de"),
}
"""Whom a response to an instrument may belong to; codes of the registry's reference data."""


def load_plan(client: Client) -> int:
    """Annex A into the engagement service; how many activities there are. Loading twice changes nothing."""
    client.call("PUT", "engagement", "/plan", json={})
    return len(client.get("engagement", "/plan")["activities"])


def load_definitions(client: Client) -> int:
    """Annex B into the measures service; how many measures there are."""
    return len(client.post("measures", "/definitions/load")["items"])


def publish(
    client: Client, instrument: Instrument, *, synthetic: bool, version: int = 1, broken: Collection[str] = ()
) -> bool:
    """Publish a version of an instrument unless it is there; whether it was not.

    In a later version the questions in `broken` have a new wording that begins a new series.
    """
    regions = stakeholders.REGIONS if instrument.code == "public-perceptions-tracker" else ()
    there = client.http.get(client.url("feedback", f"/instruments/{instrument.code}/{version}"))
    if there.is_success:
        return False
    if there.status_code != httpx.codes.NOT_FOUND:
        raise refusal("feedback", there)
    questions = [
        {
            "code": question.code,
            "version": question.version + (question.code in broken),
            "text": question.text + (" (synthetic new wording)" if question.code in broken else ""),
            "answers": [{"code": answer.code, "label": answer.label} for answer in question.answers],
            "counts": [answer.code for answer in question.answers if answer.code in question.counts],
            "left_out": [answer.code for answer in question.answers if answer.code in question.left_out],
            "breaks_series": question.code in broken,
        }
        for question in instrument.questions
    ]
    body = {
        "code": instrument.code,
        "version": version,
        "title": instrument.title,
        "weighted": False,
        "questions": questions,
        "groups": list(GROUPS.get(instrument.code, ())),
        "regions": list(regions),
        "synthetic": synthetic,
    }
    client.post("feedback", "/instruments", body)
    return True


def load_stakeholders(client: Client) -> dict[str, str]:
    """Import the synthetic stakeholders; ids by their reference. Who is there already stays as it is.

    Raises CommandError where a row is refused.
    """
    answer = client.call(
        "POST",
        "registry",
        "/stakeholders/import",
        content=stakeholders.as_csv().encode(),
        headers={"Content-Type": "text/csv"},
    )
    answers: list[dict[str, Any]] = [json.loads(line) for line in answer.text.splitlines()]
    refused = [each for each in answers if "id" not in each]
    if refused:
        raise CommandError(
            f"The registry refused {len(refused)} synthetic stakeholders, the first: {refused[0]}",
            "An older registry may hold other data: rapport down --wipe, then rapport up",
        )
    references = [row["reference"] for row in stakeholders.rows()]
    return dict(zip(references, (each["id"] for each in answers), strict=True))


def await_populations(client: Client, total: int) -> bool:
    """Whether the measures have heard of all stakeholders that a survey can ask."""
    found: list[int] = [
        each["counts"].get("all", 0) for each in client.get("measures", "/populations") if each["synthetic"]
    ]
    return sum(found) >= total
