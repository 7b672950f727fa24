"""`rapport up`: start the platform and leave it running."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rapport_stack import StackSettings
from rapport_stack.jars import kafka_jars
from rapport_stack.stack import Mode
from rich.table import Table

from rapport_cli.console import err, out
from rapport_cli.errors import CommandError
from rapport_cli.running.state import Folder, State
from rapport_cli.settings import CliSettings


def up(
    stack: Annotated[
        Mode, typer.Option(help="Where MongoDB and Kafka come from; containers: the services too, by docker compose.")
    ] = "embedded",
    mongods: Annotated[int, typer.Option(help="Members of the MongoDB replica set, 1 or 3.")] = 1,
    brokers: Annotated[int, typer.Option(help="Kafka brokers, 1 or 3.")] = 1,
    sampling: Annotated[float, typer.Option(help="Part of the requests that leave a trace.", min=0, max=1)] = 1.0,
) -> None:
    """Start MongoDB, Kafka and the five services, and leave them running."""
    for option, count in (("--mongods", mongods), ("--brokers", brokers)):
        if count not in (1, 3):
            raise typer.BadParameter(f"{option} is 1 or 3")
    folder = Folder(CliSettings.from_environment().folder)
    if folder.taken():
        out.print("Rapport runs already. See it with: rapport status")
        return
    if stack == "embedded":
        kafka_jars(StackSettings.from_environment())  # here, where the progress of a download can be seen
    options: dict[str, object] = {"mode": stack, "mongods": mongods, "brokers": brokers, "sampling": sampling}
    if stack == "containers":
        if (mongods, brokers) != (1, 1):
            raise typer.BadParameter("the compose file has one MongoDB and one Kafka")
        options = {"compose": True, "sampling": sampling}
    started = time.monotonic()
    state = _follow(folder, _supervise(folder, options))
    out.print(f"Rapport runs, {time.monotonic() - started:.0f} s after the start.")
    show(state)


def show(state: State) -> None:
    """What someone who has just started it wants to know."""
    table = Table(box=None, pad_edge=False)
    table.add_column("service", style="bold")
    table.add_column("documentation of its API")
    for service, url in state.urls.items():
        table.add_row(service, f"{url}/docs")
    table.add_row("development programs", f"{state.workbench}/  (inbox, traces, issuer)")
    out.print(table)
    out.print('A token:   TOKEN=$(rapport token --role analyst); curl -H "Authorization: Bearer $TOKEN" …')
    out.print("Look:      rapport status · rapport watch · rapport trace --last · rapport load")
    out.print("Stop:      rapport down")
    if state.stack != "external":
        out.print(
            "For development only: MongoDB and Kafka know who asks, but listen in clear on 127.0.0.1.", style="yellow"
        )


def _supervise(folder: Folder, options: Mapping[str, object]) -> "subprocess.Popen[bytes]":
    """The process that stays; its standard input is our lifeline while it starts."""
    folder.make()
    with (folder.logs / "supervisor.log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-m", "rapport_cli.running.supervisor", json.dumps(dict(options))],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _follow(folder: Folder, supervisor: "subprocess.Popen[bytes]") -> State:
    """Show how it starts until everything is ready. Raises CommandError, with its words, when it does not."""
    try:
        with err.status("starting") as line:
            while supervisor.poll() is None:
                state = folder.last()
                if state is not None and state.pid == supervisor.pid:
                    if state.ready:
                        return state
                    line.update(progress(state))
                time.sleep(0.1)
    except BaseException:
        supervisor.send_signal(signal.SIGTERM)
        supervisor.wait()
        raise
    finally:
        if supervisor.stdin is not None:
            supervisor.stdin.close()
    state = folder.last()
    if state is not None and state.pid == supervisor.pid and state.error:
        raise CommandError(*state.error)
    raise CommandError("Rapport did not start.", f"See {_tail(folder.logs / 'supervisor.log')}")


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()[-5:]
    return "\n".join([f"{log}:", *lines])


def progress(state: State) -> str:
    """One line: what it is doing, and how many processes are ready."""
    if not state.processes:
        return state.phase
    ready = sum(process.state == "running" for process in state.processes.values())
    return f"{state.phase}: {ready} of {len(state.processes)} ready"
