"""Acknowledged = counted: the ledger of the sender against what the services say, response by response."""

from dataclasses import dataclass
from typing import Any, Final

from rapport_cli.client import Client
from rapport_cli.demo.ledger import Ledger, WaveLedger
from rapport_cli.synthetic.story import EVERYBODY

PAGE: Final = 1_000
VOCABULARY: Final = frozenset(
    {"met", "not_met", "cannot_tell", "too_early", "no_baseline", "suppressed", "series_broken", "monitored"}
)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """One wave: responses acknowledged to the sender, kept by feedback, counted by measures; and what is not equal."""

    name: str
    sent: int
    acknowledged: int
    kept: int
    counted: int
    differences: tuple[str, ...]


def reconcile(client: Client, wave: WaveLedger) -> Reconciled:
    """Ids against ids, not numbers against numbers: each acknowledged event is one that the measure names, and none else."""
    kept: int = client.get("feedback", f"/waves/{wave.wave_id}/responses/count")["responses"]
    measure = EVERYBODY[wave.plan.instrument]
    counted = events_of(client, measure, wave.wave_id)
    acknowledged = set(wave.events.values())
    lost, extra = acknowledged - set(counted), set(counted) - acknowledged
    findings = {
        f"{len(lost)} acknowledged and not counted, such as {min(lost, default='')}": bool(lost),
        f"{len(extra)} counted and never acknowledged, such as {min(extra, default='')}": bool(extra),
        f"{len(counted) - len(set(counted))} counted twice": len(set(counted)) < len(counted),
        f"{kept} kept by feedback and {wave.accepted} acknowledged": kept != wave.accepted,
        f"{wave.accepted} acknowledged and {wave.plan.size} meant to be": wave.accepted != wave.plan.size,
        f"{wave.sent - wave.repeated} different ones sent": wave.sent - wave.repeated != wave.accepted,
        f"{len(wave.refused)} refused, such as {wave.refused[:1]}": bool(wave.refused),
    }
    differences = tuple(f"{wave.plan.name}: {text}" for text, wrong in findings.items() if wrong)
    return Reconciled(wave.plan.name, wave.sent, wave.accepted, kept, len(counted), differences)


def events_of(client: Client, measure: str, wave_id: str) -> list[str]:
    """Ids of all response events behind a figure."""
    events: list[str] = []
    after: int | None = 0
    while after is not None:
        page = client.get(
            "measures", f"/measures/{measure}/explain", wave=wave_id, synthetic="true", after=after, limit=PAGE
        )
        events += page["events"]
        after = page["next"]
    return events


def recomputed(client: Client, figures: list[dict[str, Any]]) -> list[str]:
    """Figures that are not equal to the last bit when counted again from their responses."""
    wrong = []
    for figure in figures:
        region = {} if figure["subject_key"] == "all" else {"region": figure["subject_key"]}
        path = f"/measures/{figure['measure']}/explain"
        explained = client.get("measures", path, wave=figure["wave_id"], synthetic="true", limit=1, **region)
        if not explained["agrees"]:
            wrong.append(f"{figure['measure']} {figure['subject_key']} departs when counted again")
    return wrong


def untold(figures: list[dict[str, Any]]) -> list[str]:
    """Words of the vocabulary that the last table lacks."""
    missing = VOCABULARY - {figure["verdict"] for figure in figures}
    severities = {"amber", "red"} - {figure["severity"] for figure in figures}
    return [f"no figure ended as {word.replace('_', ' ')}" for word in sorted(missing | severities)]


def counted_everywhere(client: Client, ledger: Ledger) -> bool:
    """Whether the measures have judged every acknowledged response; to be waited for."""
    for instrument, measure in EVERYBODY.items():
        found = client.http.get(client.url("measures", f"/measures/{measure}/history"), params={"synthetic": "true"})
        if not found.is_success:
            return False
        figures = {figure["wave_id"]: figure for figure in found.json()}
        for wave in ledger.waves.values():
            if wave.plan.instrument != instrument:
                continue
            figure = figures.get(wave.wave_id)
            if figure is None or figure["base"] < wave.accepted or figure["provisional"] != wave.plan.stays_open:
                return False
    return True
