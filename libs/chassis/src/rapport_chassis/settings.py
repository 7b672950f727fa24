"""Settings every service has, read from the environment (prefix `RAPPORT_`), here and nowhere else."""

from __future__ import annotations

from datetime import timedelta  # noqa: TC003 - pydantic reads annotations at run time
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """`RAPPORT_MONGO_URI`, `RAPPORT_KAFKA_BOOTSTRAP` … A service adds its own under its own prefix."""

    model_config = SettingsConfigDict(env_prefix="RAPPORT_", extra="ignore", hide_input_in_errors=True)

    service: str = Field(default="", description="Set by the service itself: database, consumer group, span name")

    mongo_uri: str = Field(default="mongodb://127.0.0.1:27017/?replicaSet=rapport", description="With user, if any")
    mongo_database_prefix: str = Field(default="", description="Put before every database name: several on one server")
    kafka_bootstrap: str = "127.0.0.1:9092"
    kafka_replication: int = Field(default=1, description="Of topics that are made; -1 is the brokers' default")
    kafka_username: str = ""
    kafka_password: SecretStr = SecretStr("")
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_tls: bool = False
    kafka_ca_file: str | None = None

    oidc_issuer: str = Field(default="http://127.0.0.1:8080", description="Exactly as in the tokens' `iss`")
    oidc_audience: str = "rapport"
    oidc_jwks_url: str | None = Field(default=None, description="None: found by OpenID Connect discovery")
    oidc_roles_claim: str = "roles"
    oidc_algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    oidc_leeway_seconds: int = 30
    oidc_token_seconds: int = Field(
        default=86_400, description="Longest that a token may still be good: a role taken away is gone within it"
    )

    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8000, description="Of the API")
    private_port: int = Field(default=0, description="Health, metrics, status; 0 lets the system choose")
    http_body_limit: int = 1024 * 1024
    http_connections: int = Field(default=12_000, description="Most connections; the one resting longest goes first")
    http_writes: int = Field(default=1_000, description="Writes under way at once; the next is answered 503")
    http_head_seconds: float = Field(default=10, description="For a request line and its headers to come in")
    http_body_grace_seconds: float = Field(default=10, description="For a body, and one more for every KiB of it")
    http_reading_seconds: float = Field(default=30, description="For a client to take what was sent to it")
    limits: dict[str, str] = Field(
        default_factory=dict,
        description='Most that one actor may ask for, by rule: {"writes": "6000/60"} is 6,000 a minute; see `allowances`',
    )
    http_documentation: bool = Field(default=True, description="Serve /docs and /openapi.json")

    keyring_database: str = "keyring"
    keyring_master_key: SecretStr = Field(
        default=SecretStr(""),
        description="Base64 of 96 bytes: PyMongo's `local` provider, for development only",
    )
    keyring_kms_providers: dict[str, dict[str, str]] = Field(
        default_factory=dict,
        description='PyMongo\'s kms_providers, for instance {"aws": {…}}; empty: the local master key',
    )
    keyring_kms_master_key: dict[str, str] = Field(default_factory=dict, description="PyMongo's master_key, as needed")

    otlp_endpoint: str | None = Field(default=None, description="Base URL of an OTLP/HTTP receiver; None: no spans")
    trace_sampling: float = Field(default=0.1, ge=0, le=1, description="Part of new traces that are kept")
    log_json: bool | None = Field(default=None, description="None: lines for people on a terminal, JSON elsewhere")
    log_level: str = "INFO"

    commit_documents: int = Field(default=2_000, description="Most documents in one transaction")
    commit_queue: int = Field(default=10_000, description="Write-sets that may wait")
    commit_patience_seconds: float = Field(
        default=10.0, description="Until a request that the store keeps waiting is 503"
    )
    idempotency_hours: int = Field(default=24, description="How long an Idempotency-Key is remembered")
    relay_batch: int = 2_000
    relay_poll_seconds: float = 0.5
    unsent_limit: int = Field(default=100_000, description="Unsent events from which writes are refused with 503")
    unsent_age_limit_seconds: float = Field(default=3_600, description="The same for the age of the oldest")
    journal_keep: dict[str, timedelta] = Field(
        default_factory=dict,
        description="How long sent events of a topic stay; a topic that is not named keeps them for ever",
    )
    consumer_batch: int = 5_000
    consumer_poll_ms: int = 200
    consumer_session_timeout_ms: int = 10_000
    consumer_max_poll_interval_ms: int = Field(
        default=300_000, description="A batch that takes longer gives its partitions to others of the group"
    )

    @property
    def database(self) -> str:
        return f"{self.mongo_database_prefix}{self.service}"

    @property
    def keyring(self) -> str:
        return f"{self.mongo_database_prefix}{self.keyring_database}"

    @property
    def authenticated(self) -> bool:
        """Whether the service has identities of its own at MongoDB and Kafka."""
        return "@" in self.mongo_uri and bool(self.kafka_username)
