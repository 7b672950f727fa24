"""`rapport dlq`: dead and parked letters of every service."""

import json
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from rapport_cli.client import Client
from rapport_cli.console import out
from rapport_cli.errors import CommandError
from rapport_cli.running.state import SERVICES, Folder
from rapport_cli.settings import CliSettings

dlq = typer.Typer(no_args_is_help=True, help="Dead and parked letters: events that could not take effect.")

COLUMNS: Final = ("letter", "service", "state", "why", "type", "behind")

Only = Annotated[str | None, typer.Option("--service", help="Only this service.")]
Json = Annotated[bool, typer.Option("--json", help="For a program to read.")]
Letter = Annotated[str, typer.Argument(help="Id of the letter, as `list` shows it.")]


@dlq.command("list")
def list_letters(service: Only = None, *, as_json: Json = False) -> None:
    """List dead letters and those parked behind them."""
    with _operator() as client:
        letters = [
            {"service": name, **letter}
            for name in _services(service)
            for letter in client.get(name, "/operations/dead-letters")
        ]
    if as_json:
        typer.echo(json.dumps(letters))
        return
    if not letters:
        out.print("No dead or parked letters.")
        return
    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, no_wrap=column == "letter", overflow="fold")
    for letter in letters:
        told = {**letter, "letter": letter["_id"], "why": letter["detail"] or letter["reason"]}
        table.add_row(*("" if told[column] is None else str(told[column]) for column in COLUMNS))
    out.print(table)


@dlq.command("show")
def show_letter(letter: Letter, service: Only = None) -> None:
    """Show one letter with its envelope, as JSON."""
    with _operator() as client:
        name, found = _find(client, letter, service)
    typer.echo(json.dumps({"service": name, **found}, indent=2))


@dlq.command("replay")
def replay_letters(
    letter: Annotated[str | None, typer.Argument(help="Id of one letter; none: all of them.")] = None,
    service: Only = None,
) -> None:
    """Try letters again, each aggregate's in its order."""
    with _operator() as client:
        if letter is not None:
            service = _find(client, letter, service)[0]
        marked = {
            name: client.post(name, "/operations/dead-letters/replay", {"letter": letter})["marked"]
            for name in _services(service)
        }
    for name, count in marked.items():
        if count:
            out.print(f"{name}: {count} marked; its worker tries them now, see: rapport dlq list")
    if not any(marked.values()):
        out.print("Nothing to replay: a record that could not even be read has no event in it to apply.")


def _operator() -> Client:
    return Client.of(Folder(CliSettings.from_environment().folder), "operator")


def _services(only: str | None) -> tuple[str, ...]:
    if only is None:
        return SERVICES
    if only not in SERVICES:
        raise CommandError(f"There is no service {only!r}.", f"The services are {', '.join(SERVICES)}.")
    return (only,)


def _find(client: Client, letter: str, service: str | None) -> tuple[str, dict[str, Any]]:
    for name in _services(service):
        known = {
            str(each.get("id", each.get("_id"))) for each in client.get(name, "/operations/dead-letters", limit=1000)
        }
        if letter in known or service is not None:
            found: dict[str, Any] = client.get(name, f"/operations/dead-letters/{letter}")
            return name, found
    raise CommandError(f"There is no letter {letter!r}.", "See which there are: rapport dlq list")
