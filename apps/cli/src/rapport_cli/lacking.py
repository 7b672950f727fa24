"""What figures lack and why: each service is asked for what it alone knows, and measures which figures that touches."""

from collections.abc import Mapping
from typing import Any, Final

import httpx
from rapport_events.catalog import TOPICS
from rapport_stack.workbench import Workbench

from rapport_cli.client import SUBJECT
from rapport_cli.running.state import Folder, State
from rapport_cli.settings import CliSettings

MADE_FROM: Final = ("feedback.response", "feedback.wave", "feedback.instrument", "registry.stakeholder")
"""Topics whose events figures are made from."""
PATIENCE = 10.0


def lacking(state: State, gaps: Mapping[str, int]) -> list[dict[str, Any]]:
    """What each measure lacks, by cause (see `GET /lacking` of measures); first what all of them may lack.

    `gaps`: partition -> the number that measures waits for.
    """
    found = [
        _all(f"figures lack everything in {partition} from number {missing} on: the topic has lost it")
        for partition, missing in gaps.items()
    ]
    bench = Workbench.read(Folder(CliSettings.from_environment().folder).workbench)
    if bench is None or "measures" not in state.urls:
        return found
    headers = {"Authorization": f"Bearer {bench.issuer().token(SUBJECT, ['operator'])}"}
    with httpx.Client(headers=headers, timeout=PATIENCE, trust_env=False) as http:
        heard = _asked(http, "GET", f"{state.urls['measures']}/operations/heard")
        if heard is None:
            return [*found, _all("what figures lack nobody knows: measures does not answer")]
        coming: list[dict[str, Any]] = []
        for topic in MADE_FROM:
            owner = TOPICS[topic].owner
            numbers = [heard.get(f"{topic}/{number}", 0) for number in range(TOPICS[topic].partitions)]
            asked = {"topic": topic, "heard": numbers}
            told = _asked(http, "GET", f"{state.urls[owner]}/operations/outstanding", params=asked)
            if told is None:
                found.append(_all(f"figures may lack events on {topic}: {owner} does not answer"))
            coming += told or []
        url = f"{state.urls['measures']}/lacking"
        said = _asked(http, "POST", url, json=coming) if coming else _asked(http, "GET", url)
    return [*found, *(said if said is not None else [_all("measures does not say which figures lack what")])]


def _asked(http: httpx.Client, method: str, url: str, **what: Any) -> Any:
    """The answer, None where there is none: whoever asks how things are takes what there is."""
    try:
        return http.request(method, url, **what).raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return None


def _all(words: str) -> dict[str, Any]:
    return {"measure": None, "wave_id": None, "what": "events", "events": None, "because": [], "words": words}
