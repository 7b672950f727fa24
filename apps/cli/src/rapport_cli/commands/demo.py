"""`rapport demo`: everything once, from empty folders to verdicts, in one command."""

from typing import Annotated, Literal

import typer
from rapport_stack import StackSettings
from rapport_stack.jars import kafka_jars

from rapport_cli.client import Client
from rapport_cli.commands.up import progress
from rapport_cli.console import err, out
from rapport_cli.demo.script import ROLES, Demo
from rapport_cli.demo.show import Show
from rapport_cli.running.compose import ComposePlatform
from rapport_cli.running.lifecycle import Lifecycle
from rapport_cli.running.platform import Platform
from rapport_cli.running.state import Folder
from rapport_cli.settings import CliSettings
from rapport_cli.synthetic.story import RESPONSES


def demo(
    stack: Annotated[
        Literal["embedded", "containers"],
        typer.Option(help="embedded: servers and services as processes; containers: all of it by docker compose."),
    ] = "embedded",
) -> None:
    """Start everything on data of its own, feed it the strategy's measures with synthetic answers, show, stop.

    Exit code 1 where something differs: a response that is not counted as it was acknowledged, above all.
    """
    settings = CliSettings.from_environment()
    folder = Folder(settings.folder / ("demo" if stack == "embedded" else f"demo-{stack}"))
    show = Show(out)
    out.print(f"[bold]Rapport demo[/]: {RESPONSES:,} synthetic responses. Its data: {folder.path}, wiped first.")
    with folder.held():
        folder.wipe()
        folder.make()
        platform = _platform(stack, settings, folder)
        with show.phase("Starting MongoDB, Kafka and ten service processes"):
            with err.status("starting") as line:
                platform.told = lambda state: line.update(progress(state))
                platform.start()
            show.line("for development only: MongoDB and Kafka know who asks, but listen in clear on 127.0.0.1")
        try:
            with Client(platform.state, platform.bench, ROLES) as client:
                run = Demo(platform.bench, client, show)
                run.run()
        finally:
            platform.told = lambda _: None
            with show.phase("Stopping everything"):
                platform.stop()
    _conclude(show, run)


def _platform(stack: Literal["embedded", "containers"], settings: CliSettings, folder: Folder) -> Lifecycle:
    if stack == "containers":
        return ComposePlatform(settings, folder, keep=False)
    kafka_jars(StackSettings.from_environment())  # here, where the progress of a download can be seen
    return Platform(settings, folder)


def _conclude(show: Show, run: Demo) -> None:
    out.print()
    for title, seconds in show.times.items():
        out.print(f"{seconds:7.1f} s  {title}", style="dim")
    if run.differences:
        out.print(f"\n[bold red]{len(run.differences)} difference(s)[/] after {show.elapsed:.0f} s:")
        for difference in run.differences:
            out.print(f"  {difference}", markup=False)
        raise typer.Exit(1)
    out.print(
        f"\n[bold green]Acknowledged = counted[/]: {run.ledger.accepted:,} responses, "
        f"{run.ledger.repeated:,} sent twice and counted once, {show.elapsed:.0f} s in all."
    )
