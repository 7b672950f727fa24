"""`rapport trace`: what one request set off, over all services."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rapport_stack.spans import SpanStore, render

from rapport_cli.console import out
from rapport_cli.errors import CommandError
from rapport_cli.running.state import Folder
from rapport_cli.settings import CliSettings


def trace(
    trace_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Trace id, from a log or a traceparent.")
    ] = None,
    *,
    last: Annotated[bool, typer.Option("--last", help="The newest request (default where no ID is given).")] = False,
    name: Annotated[str | None, typer.Option(help="The newest whose span name contains this.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For a program to read.")] = False,
) -> None:
    """Draw the tree of a trace with its times: request, flush, relay, consumer batch, message."""
    if trace_id is not None and (last or name is not None):
        raise typer.BadParameter("an ID, or --last or --name, not both")
    folder = Folder(CliSettings.from_environment().folder)
    if not (folder.workbench / "spans").exists():
        raise CommandError("No span was kept here yet.", "Start the platform and send it a request: rapport up")
    with SpanStore(folder.workbench / "spans") as store:
        found = trace_id or store.last(name)
        story = store.story(found) if found else None
        if not story:
            raise CommandError(
                "There is no such trace.",
                "Traces arrive some seconds after the request; the newest: rapport trace --last",
            )
        if as_json:
            spans = [asdict(span) for span in story]
            typer.echo(json.dumps({"trace_id": story.trace_id, "start_ns": story.start_ns, "spans": spans}))
        else:
            out.print(render(story))
