"""The `rapport` command: every subcommand is a file of `commands`."""

import sys

import typer
from rapport_stack import StackError

from rapport_cli.commands import demo, dlq, down, load, rebuild, republish, status, token, trace, up, watch
from rapport_cli.console import err
from rapport_cli.errors import CommandError

INTERRUPTED = 130

commands = typer.Typer(
    name="rapport",
    help="Rapport: listen, understand, respond. Start it, look at it, operate it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
commands.command("up")(up.up)
commands.command("down")(down.down)
commands.command("status")(status.status)
commands.command("demo")(demo.demo)
commands.command("load")(load.load)
commands.command("watch")(watch.watch)
commands.command("token")(token.token)
commands.command("trace")(trace.trace)
commands.add_typer(dlq.dlq, name="dlq")
commands.command("republish")(republish.republish)
commands.command("rebuild")(rebuild.rebuild)


def app() -> None:
    """Run the command line. Ends with 0, with 1 when something is not as it should be, with 2 for a wrong call."""
    try:
        commands()
    except (CommandError, StackError) as error:
        err.print(f"[bold red]{error.cause}[/]" if "[" not in error.cause else error.cause)
        err.print(error.cure)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    app()
