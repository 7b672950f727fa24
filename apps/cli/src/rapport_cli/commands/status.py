"""`rapport status`: what runs, what does not, and why."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import httpx
import typer
from rich.table import Table

from rapport_cli.console import out
from rapport_cli.errors import NotRunning
from rapport_cli.lacking import lacking
from rapport_cli.running.state import Folder, ProcessState, State
from rapport_cli.settings import CliSettings


def status(*, as_json: Annotated[bool, typer.Option("--json", help="For a program to read.")] = False) -> None:
    """Show every process: ready or why not, what waits, what was applied. Exit code 1 if something is not ready."""
    try:
        state = Folder(CliSettings.from_environment().folder).state()
    except NotRunning:
        if as_json:
            typer.echo(json.dumps({"ready": False, "phase": "not running"}))
        raise
    report = survey(state)
    if as_json:
        typer.echo(json.dumps(report))
    else:
        _show(state, report)
    if not report["ready"]:
        raise typer.Exit(1)


def survey(state: State) -> dict[str, Any]:
    """Ask every process for its own words, now."""
    with httpx.Client(timeout=3.0, trust_env=False) as http:
        processes = {name: _process(http, process) for name, process in state.processes.items()}
    gaps = processes.get("measures-worker", {}).get("gaps") or {}
    servers = dict(state.servers)
    ready = bool(processes) and all(p["ready"] for p in processes.values()) and all(servers.values()) and state.ready
    return {
        "ready": ready,
        "phase": state.phase,
        "since": state.since,
        "stack": state.stack,
        "servers": servers,
        "mongo_uri": state.mongo_uri,
        "kafka_bootstrap": state.kafka_bootstrap,
        "workbench": state.workbench,
        "urls": state.urls,
        "processes": processes,
        "lacking": lacking(state, gaps),
    }


def _process(http: httpx.Client, process: ProcessState) -> dict[str, Any]:
    known = asdict(process)
    try:
        said = http.get(f"{process.private}/status").json()
    except (httpx.HTTPError, ValueError):
        said = {"ready": False, "reason": process.state if process.state != "running" else "does not answer"}
    return {**known, **said}


def _show(state: State, report: dict[str, Any]) -> None:
    for name, running in report["servers"].items():
        where = state.mongo_uri if name == "MongoDB" else state.kafka_bootstrap
        out.print(f"{'[green]●[/]' if running else '[red]●[/]'} {name}  {where}")
    out.print(f"[green]●[/] development programs  {state.workbench}")
    table = Table(box=None, pad_edge=False)
    table.add_column("process", style="bold")
    table.add_column("state")
    for column in ("pid", "restarts", "unsent", "applied", "dead", "parked"):
        table.add_column(column, justify="right")
    table.add_column("gaps")
    for name, process in report["processes"].items():
        letters = process.get("letters") or {}
        positions = process.get("positions") or {}
        table.add_row(
            name,
            "[green]ready[/]" if process["ready"] else f"[red]{process.get('reason') or process['state']}[/]",
            str(process["pid"] or ""),
            str(process["restarts"] or ""),
            _number(process.get("unsent")),
            _number(sum(each["number"] for each in positions.values()) if positions else None),
            _number(letters.get("dead")),
            _number(letters.get("parked")),
            ", ".join(process.get("gaps") or ()),
        )
    out.print(table)
    for each in report["lacking"]:
        out.print(f"[yellow]●[/] {each['words']}")


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
