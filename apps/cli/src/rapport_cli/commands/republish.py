"""`rapport republish`: send a journal again."""

from typing import Annotated

import typer
from rapport_events.catalog import TOPICS

from rapport_cli.client import Client
from rapport_cli.console import out
from rapport_cli.errors import CommandError
from rapport_cli.running.state import Folder
from rapport_cli.settings import CliSettings


def republish(
    topic: Annotated[str, typer.Argument(help="Such as feedback.response.")],
    partition: Annotated[int | None, typer.Option(help="One partition; none: all of the topic.", min=0)] = None,
    first: Annotated[int, typer.Option("--from", help="From this number on.", min=1)] = 1,
) -> None:
    """Send a journal again, with the numbers it has; whoever has them drops them."""
    if topic not in TOPICS:
        raise CommandError(f"There is no topic {topic!r}.", f"The topics are {', '.join(sorted(TOPICS))}.")
    owner = TOPICS[topic].owner
    with Client.of(Folder(CliSettings.from_environment().folder), "operator") as client:
        body = {"topic": topic, "partition": partition, "first": first}
        marked = client.post(owner, "/operations/republish", body)["marked"]
    out.print(f"{owner} sends {topic} again from number {first}: {marked} partition(s) marked for its worker")
