"""What each process is told through its environment; the names are those of the services' settings."""

from collections.abc import Mapping
from pathlib import Path

from rapport_stack.principals import Principal, principals_in
from rapport_stack.stack import Endpoints
from rapport_stack.workbench import Workbench

PRINCIPALS = Path(__file__).parents[5] / "deploy" / "principals.json"
"""What each service may do at the servers, of a source checkout: written by `make docs` out of the contracts."""


def granted(inherited: Mapping[str, str]) -> tuple[Principal, ...]:
    """Who may do what at the servers of this environment."""
    return principals_in(PRINCIPALS, inherited.get("RAPPORT_MONGO_DATABASE_PREFIX", ""))


def service_environment(
    inherited: Mapping[str, str],
    *,
    endpoints: Endpoints,
    brokers: int,
    bench: Workbench,
    master_key: str,
    http_port: int,
    private_port: int,
    sampling: float,
) -> dict[str, str]:
    """Everything local, in clear and impatient: for development only. `endpoints` are the service's own.

    A master key of the user's own wins: an external MongoDB may hold what was sealed with it.
    """
    identity = {
        "RAPPORT_KAFKA_USERNAME": endpoints.kafka_username,
        "RAPPORT_KAFKA_PASSWORD": endpoints.kafka_password,
        "RAPPORT_KAFKA_SASL_MECHANISM": endpoints.kafka_mechanism,
    }
    return {
        "RAPPORT_LOG_JSON": "true",
        "RAPPORT_KEYRING_MASTER_KEY": master_key,
        **inherited,
        "RAPPORT_MONGO_URI": endpoints.mongo_uri,
        "RAPPORT_KAFKA_BOOTSTRAP": endpoints.kafka_bootstrap,
        **identity,
        "RAPPORT_KAFKA_REPLICATION": str(brokers),
        "RAPPORT_OIDC_ISSUER": bench.url,
        "RAPPORT_HTTP_PORT": str(http_port),
        "RAPPORT_PRIVATE_PORT": str(private_port),
        "RAPPORT_OTLP_ENDPOINT": bench.url,
        "RAPPORT_TRACE_SAMPLING": str(sampling),
        "RAPPORT_NOTIFICATIONS_EMAIL_HOST": "127.0.0.1",
        "RAPPORT_NOTIFICATIONS_EMAIL_PORT": str(bench.smtp_port),
        "RAPPORT_NOTIFICATIONS_EMAIL_TLS": "none",
        "RAPPORT_NOTIFICATIONS_WEBHOOK_ALLOW_INSECURE": "true",
        "RAPPORT_NOTIFICATIONS_DELIVERY_BACK_OFF_SECONDS": "0.5",
        "RAPPORT_NOTIFICATIONS_DELIVERY_MOST_BACK_OFF_SECONDS": "10",
    }
