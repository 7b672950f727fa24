"""Settings of this service: those of every service, one group per channel, and the patience of delivery."""

from typing import Literal, Self

from pydantic import BaseModel, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from rapport_chassis.settings import ServiceSettings

from notifications.domain.back_off import BackOff


class EmailSettings(BaseSettings):
    """`RAPPORT_NOTIFICATIONS_EMAIL_HOST` …"""

    model_config = SettingsConfigDict(
        env_prefix="RAPPORT_NOTIFICATIONS_EMAIL_", extra="ignore", hide_input_in_errors=True
    )

    host: str = "127.0.0.1"
    port: int = 25
    tls: Literal["implicit", "starttls", "opportunistic", "none"] = Field(
        default="opportunistic",
        description="opportunistic: STARTTLS where the server offers it; between organisations use starttls",
    )
    username: str = ""
    password: SecretStr = SecretStr("")
    sender: str = Field(default="rapport@example.org", description="Address; its domain ends every Message-ID")
    sender_name: str = "Rapport"
    unsubscribe: str = Field(default="", description="URI for List-Unsubscribe (RFC 2369), such as mailto:…")
    timeout_seconds: float = Field(default=15.0, gt=0)

    @model_validator(mode="after")
    def _keep_the_password(self) -> Self:
        if self.username and self.tls not in ("implicit", "starttls"):
            raise ValueError("a password goes over an encrypted line only: set tls to implicit or starttls")
        return self


class WebhookSettings(BaseSettings):
    """`RAPPORT_NOTIFICATIONS_WEBHOOK_ALLOW_INSECURE` …"""

    model_config = SettingsConfigDict(
        env_prefix="RAPPORT_NOTIFICATIONS_WEBHOOK_", extra="ignore", hide_input_in_errors=True
    )

    allow_insecure: bool = Field(
        default=False, description="Plain http, loopback and private addresses too: for development only"
    )
    ca_file: str | None = Field(default=None, description="Certificates to trust in place of the system's")
    timeout_seconds: float = Field(default=10.0, gt=0)


class DeliverySettings(BaseSettings):
    """`RAPPORT_NOTIFICATIONS_DELIVERY_ATTEMPTS` …"""

    model_config = SettingsConfigDict(env_prefix="RAPPORT_NOTIFICATIONS_DELIVERY_", extra="ignore")

    attempts: int = Field(default=10, ge=1, description="Most attempts of one message; then it has failed")
    back_off_seconds: float = Field(default=10.0, gt=0, description="Before the second attempt; doubles each time")
    most_back_off_seconds: float = Field(default=4 * 3600.0, gt=0)
    concurrency: int = Field(default=20, ge=1, description="Messages on their way at once, per worker")
    lease_seconds: float = Field(default=60.0, gt=0, description="How long a worker may take for one attempt")
    poll_seconds: float = Field(default=0.5, gt=0)

    @property
    def back_off(self) -> BackOff:
        return BackOff(self.attempts, self.back_off_seconds, self.most_back_off_seconds)


class Settings(ServiceSettings):
    email: EmailSettings = Field(default_factory=EmailSettings)
    webhook: WebhookSettings = Field(default_factory=WebhookSettings)
    delivery: DeliverySettings = Field(default_factory=DeliverySettings)

    @model_validator(mode="after")
    def _lease_outlives_attempt(self) -> Self:
        groups: tuple[BaseModel, ...] = (self.email, self.webhook)
        longest = max(getattr(group, "timeout_seconds", 0.0) for group in groups)
        if self.delivery.lease_seconds <= longest:
            raise ValueError("the lease of delivery must be longer than every channel's timeout")
        return self
