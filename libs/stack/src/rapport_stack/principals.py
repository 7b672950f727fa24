"""Who may do what at MongoDB and Kafka: one principal for each program, and its password."""

import contextlib
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Self

ADMINISTRATOR: Final = "administrator"
"""Who may do everything: for the development programs, tests and whoever looks into a server."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A program's user at MongoDB and principal at Kafka, of the same name and password.

    Attributes:
        databases: MongoDB's own role, by database.
        collections: actions, by collection ("" is all of them), by database: what no role of MongoDB's says so narrowly.
        topics: operations, by topic.
        groups: consumer groups that it is a member of.
    """

    name: str
    databases: Mapping[str, str] = field(default_factory=dict)
    collections: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    topics: Mapping[str, Sequence[str]] = field(default_factory=dict)
    groups: Sequence[str] = ()

    def prefixed(self, prefix: str) -> Self:
        """The same where every database has a prefix to its name."""
        return type(self)(
            self.name,
            {f"{prefix}{name}": role for name, role in self.databases.items()},
            {f"{prefix}{name}": collections for name, collections in self.collections.items()},
            self.topics,
            self.groups,
        )


def principals_text(principals: Sequence[Principal]) -> str:
    """As `principals_in` reads it."""
    return json.dumps([asdict(each) for each in principals], indent=1) + "\n"


def principals_in(file: Path, database_prefix: str = "") -> tuple[Principal, ...]:
    """The principals of a file. Raises OSError, ValueError and TypeError where it is none."""
    return tuple(Principal(**each).prefixed(database_prefix) for each in json.loads(file.read_text("utf-8")))


class Credentials:
    """The passwords of one installation, all of them made from one secret that its owner alone can read.

    Args:
        file: where the secret is kept, 0600; made when first asked for. None: for as long as this object lives.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._secret = b""

    @classmethod
    def of(cls, data: Path) -> Self:
        """Those of an installation whose data are in a folder, with which they are wiped."""
        return cls(data / "secret")

    def password(self, name: str) -> str:
        """64 hexadecimal digits, which need no escape in a URI, a JAAS line or a key file."""
        if not self._secret:
            self._secret = self._read(self._file) if self._file else secrets.token_bytes(32)
        return hmac.new(self._secret, name.encode(), hashlib.sha256).hexdigest()

    @staticmethod
    def _read(file: Path) -> bytes:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            staged = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
            private(staged, secrets.token_hex(32))
            with contextlib.suppress(FileExistsError):  # whoever is first: MongoDB and Kafka may ask side by side
                os.link(staged, file)
            staged.unlink()
        return file.read_bytes()


def private(file: Path, text: str) -> None:
    """Write a file that nobody else may read, not even for a moment."""
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)
