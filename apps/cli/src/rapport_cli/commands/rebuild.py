"""`rapport rebuild`: a projection made anew from the events, compared with the one in force, and put in its place."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer
from rapport_events.catalog import TOPICS
from rich.table import Table

from rapport_cli.client import Client, workbench_of
from rapport_cli.console import err, out
from rapport_cli.errors import CommandError
from rapport_cli.running.environment import service_environment
from rapport_cli.running.state import Folder
from rapport_cli.settings import CliSettings

REBUILT: Final = ("measures",)
"""Services that declare a projection."""
SHOWN: Final = 50
"""Differences shown one by one."""


def rebuild(
    service: Annotated[str, typer.Argument(help="Whose projection: measures.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only compare.")] = False,
    accept: Annotated[
        bool, typer.Option("--accept-differences", help="Put the new one in its place although figures differ.")
    ] = False,
    old: Annotated[bool, typer.Option("--drop-old", help="Only delete the projections no longer in force.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For a program to read: a line for everything.")] = False,
) -> None:
    """Make a service's figures anew from the first event on. Exit code 1 where they differ and stay as they are."""
    if service not in REBUILT:
        raise CommandError(f"{service!r} has no projection to rebuild.", f"There is one of: {', '.join(REBUILT)}")
    options = [name for name, wish in (("dry-run", dry_run), ("accept-differences", accept), ("drop-old", old)) if wish]
    if len(options) > 1:
        raise CommandError("These options exclude each other.", "See rapport rebuild --help")
    folder = Folder(CliSettings.from_environment().folder)
    differences: list[dict[str, Any]] = []
    last: dict[str, Any] = {}
    with Client.of(folder, "operator") as client, _process(folder, service, options) as lines, err.status("") as line:
        for last in lines:
            if as_json:
                typer.echo(json.dumps(last))
            if "stage" in last:
                line.update(_progress(last))
            elif "difference" in last:
                differences.append(last["difference"])
            elif "lacks" in last:
                _send_again(client, last["lacks"])
    if not as_json:
        _show(service, last, differences)
    if last.get("state") == "differs":
        raise typer.Exit(1)


@contextmanager
def _process(folder: Folder, service: str, options: list[str]) -> Iterator[Iterator[dict[str, Any]]]:
    """What the rebuilding process tells, line by line; it ends with us. Raises CommandError where it fails."""
    settings = CliSettings.from_environment()
    environment = service_environment(
        settings.inherited,
        endpoints=folder.endpoints(service),
        brokers=1,
        bench=workbench_of(folder),
        master_key=folder.master_key(),
        http_port=0,
        private_port=0,
        sampling=0,
    )
    argv = [sys.executable, "-m", "rapport_chassis", service, "rebuild", *(f"--{option}" for option in options)]
    log = folder.logs / f"{service}-rebuild.log"
    with log.open("wb") as errors, subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=errors, env=environment) as it:  # noqa: S603 - ourselves
        ended = False

        def told() -> Iterator[dict[str, Any]]:
            nonlocal ended
            for text in it.stdout or ():
                found: dict[str, Any] = json.loads(text)
                ended = "state" in found or "dropped" in found
                yield found

        try:
            yield told()
        finally:
            if it.poll() is None and not ended:
                it.terminate()
    if not ended:
        how = f"was killed by signal {-it.returncode}" if it.returncode < 0 else f"ended with code {it.returncode}"
        words = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise CommandError(
            f"The rebuild {how}: what was in force still is. {' '.join(words)}", f"Begin again; its log: {log}"
        )


def _send_again(client: Client, lacks: dict[str, Any]) -> None:
    """What a topic has lost, its owner's journal has."""
    err.print(f"{lacks['topic']}/{lacks['partition']} lacks number {lacks['first']}: its owner sends it again")
    client.post(TOPICS[lacks["topic"]].owner, "/operations/republish", lacks)


def _progress(told: dict[str, Any]) -> str:
    return f"{told['stage']} {told['applied']:,} of {told['of']:,} events" if "of" in told else told["stage"]


def _show(service: str, last: dict[str, Any], differences: list[dict[str, Any]]) -> None:
    if "dropped" in last:
        gone = ", ".join(map(str, last["dropped"]))
        out.print(f"Deleted: generation {gone}." if gone else "There is no old generation.")
        return
    if differences:
        table = Table(box=None, pad_edge=False)
        for column in ("where", "what", "in force", "rebuilt"):
            table.add_column(column, no_wrap=column == "where", overflow="fold")
        for each in sorted(differences, key=lambda each: each["collection"] != "figures")[:SHOWN]:
            where = f"{each['collection']} {each['id']}"
            table.add_row(where, each["field"] or "the document", _short(each["old"]), _short(each["new"]))
        out.print(table)
    count = last["differences"]
    told = f"{count:,} differences" if count else "no difference"
    out.print(f"{last['events']:,} events applied: {told}.")
    if last["state"] == "swapped":
        out.print(f"Generation {last['generation']} of {service} is in force. The old one: rapport rebuild --drop-old")
    elif last["state"] == "differs":
        out.print(f"What was in force still is. To accept: rapport rebuild {service} --accept-differences")


def _short(value: Any) -> str:
    return "" if value is None else str(value)[:60]
