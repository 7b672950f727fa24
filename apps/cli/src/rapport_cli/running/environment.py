"""What each process is told through its environment; the names are those of the services' settings."""

from collections.abc import Mapping

from rapport_stack.stack import Endpoints
from rapport_stack.workbench import Workbench


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
    """Everything local, in clear and impatient: for development only.

    A master key of the user's own wins: an external MongoDB may hold what was sealed with it.
    """
    return {
        "RAPPORT_LOG_JSON": "true",
        "RAPPORT_KEYRING_MASTER_KEY": master_key,
        **inherited,
        "RAPPORT_MONGO_URI": endpoints.mongo_uri,
        "RAPPORT_KAFKA_BOOTSTRAP": endpoints.kafka_bootstrap,
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
