"""`rapport watch`: the measures as they change."""

import json
import time
from typing import Annotated

import typer
from rich.live import Live

from rapport_cli.board import Board, Follower, table
from rapport_cli.client import Client
from rapport_cli.console import out
from rapport_cli.running.state import Folder
from rapport_cli.settings import CliSettings


def watch(
    *,
    synthetic: Annotated[
        bool | None, typer.Option("--synthetic/--real", help="Which figures; without it real ones once there are any.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print the table once and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A figure a line, as it changes.")] = False,
) -> None:
    """Follow the measures live: share, interval, target, verdict. End with Ctrl-C."""
    client = Client.of(Folder(CliSettings.from_environment().folder), "analyst")
    kind = {} if synthetic is None else {"synthetic": str(synthetic).lower()}
    board = Board()
    board.fill(client.get("measures", "/measures", **kind))
    if once:
        if as_json:
            typer.echo(json.dumps([figure for _, figure in board.rows() if figure]))
        else:
            out.print(table(board))
        return
    follower = Follower(client, board, synthetic=synthetic)
    if as_json:
        follower.told = lambda figure: typer.echo(json.dumps(figure))
    follower.start()
    try:
        if as_json or not out.is_terminal:
            while True:
                time.sleep(1)
        with Live(console=out, auto_refresh=False, screen=True) as live:
            while True:
                live.update(table(board, short=True), refresh=True)
                time.sleep(0.25)
    finally:
        follower.stop()
