"""`rapport token`: an access token of the local issuer."""

from typing import Annotated

import typer

from rapport_cli.client import workbench_of
from rapport_cli.errors import CommandError
from rapport_cli.running.state import Folder
from rapport_cli.settings import CliSettings

ROLES = ("engagement-officer", "researcher", "collector", "analyst", "operator", "auditor", "director")


def token(
    role: Annotated[list[str], typer.Option(help=f"One of: {', '.join(ROLES)}. May be given several times.")],
    subject: Annotated[str, typer.Option(help="Whose token it is.")] = "rapport-command-line",
    region: Annotated[str | None, typer.Option(help="Bound to a region.")] = None,
    lifetime: Annotated[int, typer.Option(help="Seconds.", min=1)] = 3600,
) -> None:
    """Print an access token of the local issuer, and nothing else. For development only."""
    folder = Folder(CliSettings.from_environment().folder)
    issued = issue(folder, role, subject=subject, region=region, lifetime=lifetime)
    typer.echo(issued)


def issue(folder: Folder, roles: list[str], *, subject: str, region: str | None = None, lifetime: int = 3600) -> str:
    """Raises CommandError for a role that does not exist, NotRunning."""
    unknown = [role for role in roles if role not in ROLES]
    if unknown:
        raise CommandError(f"There is no role {unknown[0]!r}.", f"The roles are {', '.join(ROLES)}.")
    return workbench_of(folder).issuer().token(subject, roles, region=region, lifetime=lifetime)
