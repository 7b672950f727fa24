"""What the environment says about the stack: the only place of this package that reads it."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from rapport_stack.principals import Credentials


@dataclass(frozen=True)
class StackSettings:
    """Where the stack finds programs and servers.

    Attributes:
        cache: folder for downloads, shared by all checkouts (RAPPORT_CACHE, else XDG_CACHE_HOME/rapport).
        maven_repository: URL to download Kafka's jars from (RAPPORT_MAVEN_REPOSITORY, else Maven Central).
        mongod: program to run instead of the one in the wheel (MONGOD_BIN).
        search_path: folders searched for a mongod after that (PATH).
        mongo_uri: the external MongoDB (RAPPORT_MONGO_URI).
        kafka_bootstrap: the external Kafka, host:port[,host:port] (RAPPORT_KAFKA_BOOTSTRAP).
        kafka_username, kafka_password, kafka_mechanism: who we are there (RAPPORT_KAFKA_USERNAME, RAPPORT_KAFKA_PASSWORD,
            RAPPORT_KAFKA_SASL_MECHANISM).
    """

    cache: Path
    maven_repository: str = "https://repo.maven.apache.org/maven2"
    mongod: Path | None = None
    search_path: str = ""
    mongo_uri: str | None = field(default=None, repr=False)
    kafka_bootstrap: str | None = None
    kafka_username: str = ""
    kafka_password: str = field(default="", repr=False)
    kafka_mechanism: str = "SCRAM-SHA-512"

    @classmethod
    def from_environment(cls) -> Self:
        """Read the settings from environment variables; an empty variable counts as absent."""
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rapport"
        mongod = os.environ.get("MONGOD_BIN")
        return cls(
            cache=Path(os.environ.get("RAPPORT_CACHE") or home),
            maven_repository=os.environ.get("RAPPORT_MAVEN_REPOSITORY") or cls.maven_repository,
            mongod=Path(mongod) if mongod else None,
            search_path=os.environ.get("PATH", ""),
            mongo_uri=os.environ.get("RAPPORT_MONGO_URI") or None,
            kafka_bootstrap=os.environ.get("RAPPORT_KAFKA_BOOTSTRAP") or None,
            kafka_username=os.environ.get("RAPPORT_KAFKA_USERNAME", ""),
            kafka_password=os.environ.get("RAPPORT_KAFKA_PASSWORD", ""),
            kafka_mechanism=os.environ.get("RAPPORT_KAFKA_SASL_MECHANISM") or cls.kafka_mechanism,
        )


class EnvironmentCredentials(Credentials):
    """Passwords as the environment says, RAPPORT_REGISTRY_PASSWORD that of `registry`; KeyError where it does not."""

    def password(self, name: str) -> str:
        """That of this name."""
        return os.environ[f"RAPPORT_{name.upper()}_PASSWORD"]
