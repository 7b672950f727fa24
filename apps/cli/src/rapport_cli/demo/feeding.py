"""Responses into the feedback service through its public API: one by one, as NDJSON, as CSV."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx

from rapport_cli.client import Client, refusal
from rapport_cli.demo.ledger import WaveLedger
from rapport_cli.synthetic.plan import WavePlan

AT_ONCE: Final = 8
PIECE: Final = 200
"""Rows per piece of a stream."""

Row = dict[str, Any]


def open_wave(client: Client, plan: WavePlan) -> WaveLedger:
    body = {
        "instrument_code": plan.instrument,
        "instrument_version": plan.version,
        "ordinal": plan.ordinal,
        "year": plan.year,
        "starts_on": plan.starts_on.isoformat(),
        "ends_on": plan.ends_on.isoformat(),
        "synthetic": True,
    }
    return WaveLedger(plan, client.post("feedback", "/waves", body)["id"])


def close_wave(client: Client, wave: WaveLedger) -> None:
    version = client.get("feedback", f"/waves/{wave.wave_id}")["version"]
    client.post("feedback", f"/waves/{wave.wave_id}/close", **{"If-Match": f'"{version}"'})


def submit(client: Client, wave: WaveLedger, row: Row, **headers: str) -> httpx.Response:
    """One response; its reference is its Idempotency-Key."""
    wave.sent += 1
    answer = client.call(
        "POST",
        "feedback",
        f"/waves/{wave.wave_id}/responses",
        json=row,
        headers={"Idempotency-Key": f"{row['reference']}", **headers},
    )
    receipt = answer.json()
    if "idempotency-replayed" in answer.headers:
        wave.repeated += 1
    wave.acknowledge(receipt["response_id"], receipt["event"])
    return answer


def one_by_one(client: Client, wave: WaveLedger, rows: Iterable[Row]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for _ in threads.map(lambda row: submit(client, wave, row), rows):
            pass


def stream(client: Client, wave: WaveLedger, rows: Sequence[Row]) -> None:
    """NDJSON."""
    lines = [json.dumps(row, separators=(",", ":")) + "\n" for row in rows]
    _import(client, wave, lines, "application/x-ndjson", len(rows))


def comma_separated(client: Client, wave: WaveLedger, rows: Sequence[Row]) -> None:
    """CSV."""
    text = io.StringIO()
    questions = list(dict.fromkeys(question for row in rows for question in row["answers"]))
    writer = csv.writer(text)
    writer.writerow(["reference", "region", "groups", "day", *(f"answers.{question}" for question in questions)])
    for row in rows:
        answers = (row["answers"].get(question, "") for question in questions)
        writer.writerow([row["reference"], row.get("region", ""), ";".join(row["groups"]), row["day"], *answers])
    _import(client, wave, text.getvalue().splitlines(keepends=True), "text/csv", len(rows))


def _import(client: Client, wave: WaveLedger, lines: Sequence[str], media_type: str, rows: int) -> None:
    wave.sent += rows
    url = client.url("feedback", f"/waves/{wave.wave_id}/responses/import")
    headers = {"Content-Type": media_type}
    with client.http.stream("POST", url, content=_pieces(lines), headers=headers) as answer:
        if answer.is_error:
            answer.read()
            raise refusal("feedback", answer)
        answered = 0
        for line in answer.iter_lines():
            answered += 1
            _note(wave, json.loads(line))
    if answered != rows:
        wave.refused.append(f"{rows} rows were sent and {answered} answered")


def _note(wave: WaveLedger, answer: Row) -> None:
    match answer["status"]:
        case "accepted":
            wave.acknowledge(answer["response_id"], answer["event"])
        case "duplicate":
            wave.repeated += 1
            wave.acknowledge(answer["response_id"], answer["event"])
        case _:
            wave.refused.append(answer)


def _pieces(lines: Sequence[str]) -> Iterator[bytes]:
    for begin in range(0, len(lines), PIECE):
        yield "".join(lines[begin : begin + PIECE]).encode()
