"""`rapport dlq`: dead and parked letters of every service."""

import base64
import hashlib
import json
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from rapport_cli.client import Client
from rapport_cli.console import out
from rapport_cli.errors import CommandError
from rapport_cli.running.state import SERVICES, Folder
from rapport_cli.settings import CliSettings

dlq = typer.Typer(no_args_is_help=True, help="Dead and parked letters: events that could not take effect.")

COLUMNS: Final = ("letter", "service", "state", "why", "type", "behind", "holds")
TRIED: Final = ("letter", "service", "outcome", "why", "asked by", "at", "mended")
MOST: Final = 1_000
"""Letters of one service that are looked at."""

Only = Annotated[str | None, typer.Option("--service", help="Only this service.")]
Json = Annotated[bool, typer.Option("--json", help="For a program to read.")]
Letter = Annotated[str, typer.Argument(help="Id of the letter, as `list` shows it.")]


@dlq.command("list")
def list_letters(service: Only = None, *, as_json: Json = False) -> None:
    """List dead letters, why they are, and what is parked behind each."""
    with _operator() as client:
        letters = [{"service": name, **letter} for name in _services(service) for letter in _letters(client, name)]
    held = Counter((each["service"], each["behind"]) for each in letters)
    for letter in letters:
        letter["holds"] = held[letter["service"], letter["_id"]]
    if as_json:
        typer.echo(json.dumps(letters))
        return
    if not letters:
        out.print("No dead or parked letters.")
        return
    rows = [{**each, "letter": each["_id"], "why": each["detail"] or each["reason"]} for each in letters]
    _print(COLUMNS, [{**row, "holds": row["holds"] or None} for row in rows])


@dlq.command("show")
def show_letter(
    letter: Letter,
    service: Only = None,
    *,
    data: Annotated[bool, typer.Option("--data", help="Only the event's data: what `replay --with` takes.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="The bytes of an unreadable record too.")] = False,
) -> None:
    """Show one letter with its envelope and what is parked behind it, as JSON.

    A person's words in an event are sealed. What is in a record that nobody could read, nobody knows: its size and
    digest are shown, its bytes only with --raw.
    """
    with _operator() as client:
        name, found = _find(client, letter, service)
        behind = [each["_id"] for each in _letters(client, name) if each["behind"] == letter]
    if data:
        if found["envelope"] is None:
            raise CommandError("A record that could not even be read has no data.", f"See rapport dlq show {letter}")
        typer.echo(json.dumps(found["envelope"]["data"], indent=2))
        return
    if found["raw"] is not None and not raw:
        found["raw"] = _outline(found["raw"])
    typer.echo(json.dumps({"service": name, **found, "parked_behind": behind}, indent=2))


@dlq.command("replay")
def replay_letters(
    letter: Annotated[str | None, typer.Argument(help="Id of one letter: it goes with all of its aggregate.")] = None,
    service: Only = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All letters, of all services or of --service.")] = False,
    mended: Annotated[
        Path | None,
        typer.Option("--with", help="The event's data, mended (JSON).", exists=True, dir_okay=False),
    ] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for what comes of it.", min=0)] = 30.0,
) -> None:
    """Try letters again, each aggregate's in its order. Exit code 1 if one of them failed again, or is still waiting."""
    if (letter is None) != everything:
        raise CommandError("Which letters?", "Name one, or say --all. See which there are: rapport dlq list")
    if mended is not None and letter is None:
        raise CommandError("Mended data belong to one event.", "Name its letter: rapport dlq replay ID --with FILE")
    body: dict[str, Any] = {"letter": letter, "data": _data(mended) if mended is not None else None}
    with _operator() as client:
        if letter is not None:
            service = _find(client, letter, service)[0]
        before = {name: {each["_id"] for each in _replays(client, name)} for name in _services(service)}
        marked = {
            name: client.post(name, "/operations/dead-letters/replay", body)["marked"] for name in _services(service)
        }
        if not any(marked.values()):
            out.print("Nothing to replay: a record that could not even be read has no event in it to apply.")
            return
        waiting = _await(client, [name for name, count in marked.items() if count], wait)
        tried = [
            {"service": name, **each}
            for name in marked
            for each in _replays(client, name)
            if each["_id"] not in before[name]
        ]
    outcomes = Counter((each["service"], each["outcome"]) for each in tried)
    for (name, outcome), count in sorted(outcomes.items()):
        out.print(f"{name}: {count} {outcome}")
    failed = [each for each in tried if each["outcome"] != "applied"]
    for each in failed:
        out.print(f"  {each['letter']}: {each['reason']}")
    if waiting:
        out.print(f"{waiting} still wait for the worker; see: rapport status, rapport dlq list")
    if failed or waiting:
        raise typer.Exit(1)


@dlq.command("history")
def history(
    service: Only = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Of each service.")] = 50,
    *,
    as_json: Json = False,
) -> None:
    """What was replayed: which letters, who asked for it and when, what was mended, what came of it."""
    with _operator() as client:
        tried = [
            {"service": name, **each}
            for name in _services(service)
            for each in client.get(name, "/operations/replays", limit=limit)
        ]
    if as_json:
        typer.echo(json.dumps(tried))
        return
    if not tried:
        out.print("Nothing was replayed yet.")
        return
    rows = [
        {
            **each,
            "why": each["reason"],
            "asked by": each["asked"]["by"],
            "mended": "yes" if each["asked"]["mended"] else None,
        }
        for each in tried
    ]
    _print(TRIED, rows)


def _operator() -> Client:
    return Client.of(Folder(CliSettings.from_environment().folder), "operator")


def _services(only: str | None) -> tuple[str, ...]:
    if only is None:
        return SERVICES
    if only not in SERVICES:
        raise CommandError(f"There is no service {only!r}.", f"The services are {', '.join(SERVICES)}.")
    return (only,)


def _letters(client: Client, service: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(service, "/operations/dead-letters", limit=MOST)
    return found


def _replays(client: Client, service: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(service, "/operations/replays", limit=MOST)
    return found


def _find(client: Client, letter: str, service: str | None) -> tuple[str, dict[str, Any]]:
    for name in _services(service):
        if service is not None or letter in {each["_id"] for each in _letters(client, name)}:
            found: dict[str, Any] = client.get(name, f"/operations/dead-letters/{letter}")
            return name, found
    raise CommandError(f"There is no letter {letter!r}.", "See which there are: rapport dlq list")


def _data(file: Path) -> dict[str, Any]:
    """The data of an event from a file. Raises CommandError."""
    try:
        found = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise CommandError(f"{file} is no JSON: {error}", "Begin with: rapport dlq show ID --data") from None
    if not isinstance(found, dict):
        raise CommandError(f"{file} holds no object.", "Begin with: rapport dlq show ID --data")
    return found


def _await(client: Client, services: list[str], seconds: float) -> int:
    """How many letters of these services still wait for their worker, at most so many seconds from now."""
    deadline = time.monotonic() + seconds
    while True:
        waiting = len([each for name in services for each in _letters(client, name) if each["state"] == "replay"])
        if not waiting or time.monotonic() > deadline:
            return waiting
        time.sleep(0.2)


def _outline(raw: dict[str, Any]) -> dict[str, Any]:
    """What can be said of a record without showing what is in it."""

    def outline(text: str | None) -> dict[str, Any] | None:
        if text is None:
            return None
        value = base64.b64decode(text)
        return {"bytes": len(value), "sha256": hashlib.sha256(value).hexdigest()}

    return {
        "key": outline(raw["key"]),
        "value": outline(raw["value"]),
        "headers": [[name, outline(text)] for name, text in raw["headers"]],
    }


def _print(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column == "letter", overflow="fold")
    for row in rows:
        table.add_row(*("" if row[column] is None else str(row[column]) for column in columns))
    out.print(table)
