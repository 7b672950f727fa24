"""What the environment says to the command line: the only place of this package that reads it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class CliSettings:
    """`folder` (RAPPORT_FOLDER, default .rapport) holds everything that a running platform writes.

    `inherited` is the environment that started programs get, before what the platform itself says to them.
    """

    folder: Path
    inherited: dict[str, str]

    @classmethod
    def from_environment(cls) -> Self:
        """Read once per command."""
        return cls(Path(os.environ.get("RAPPORT_FOLDER") or ".rapport").absolute(), dict(os.environ))
