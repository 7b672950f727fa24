"""Mail: plain text in UTF-8 over SMTP (RFC 5321, RFC 5322)."""

import asyncio
import re
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

import aiosmtplib

from notifications.channels.channel import AddressRefused, Refused, Retry
from notifications.domain.message import Letter, Rendered
from notifications.settings import EmailSettings

# A working subset of RFC 5321: dot-atom before the @, a domain of at least two labels after it, ASCII only, so that no
# letter of another alphabet passes for a Latin one. Internationalised domains are written as xn--.
_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?P<local>{_LOCAL})@(?P<domain>{_LABEL}(\.{_LABEL})+)")
_LONGEST_LOCAL = 64
_LONGEST = 254
_PERMANENT = 500


class Email:
    """`Message-ID` is the message's id at the sender's domain: the same on every attempt."""

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings
        self._sender = Address(settings.sender_name, addr_spec=settings.sender)

    def check(self, address: str) -> None:
        found = _ADDRESS.fullmatch(address)
        if found is None or len(found["local"]) > _LONGEST_LOCAL or len(address) > _LONGEST:
            raise AddressRefused("not a mail address of the form name@domain in ASCII")

    def new_secret(self) -> None:
        return None

    async def send(self, letter: Letter, rendered: Rendered) -> None:
        settings = self._settings
        try:
            async with asyncio.timeout(settings.timeout_seconds):
                await aiosmtplib.send(
                    self._written(letter, rendered),
                    sender=self._sender.addr_spec,
                    recipients=[letter.address],
                    hostname=settings.host,
                    port=settings.port,
                    username=settings.username or None,
                    password=settings.password.get_secret_value() or None,
                    use_tls=settings.tls == "implicit",
                    start_tls={"starttls": True, "opportunistic": None}.get(settings.tls, False),
                    timeout=settings.timeout_seconds,
                )
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _answered(error.recipients[0].code) from error
        except aiosmtplib.SMTPDataError as error:
            raise _answered(error.code) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            # Also a wrong password or a sender that is not allowed: ours to mend, not the recipient's to suffer.
            raise Retry("unreachable") from error

    async def close(self) -> None:
        """Nothing stays open between messages."""

    def _written(self, letter: Letter, rendered: Rendered) -> EmailMessage:
        message = EmailMessage(policy=SMTP)
        message["From"] = self._sender
        message["To"] = Address(addr_spec=letter.address)
        message["Subject"] = rendered.subject
        message["Date"] = datetime.now(UTC)
        message["Message-ID"] = f"<{letter.id}@{self._sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers, please
        if self._settings.unsubscribe:
            message["List-Unsubscribe"] = f"<{self._settings.unsubscribe}>"
        message.set_content(rendered.text, charset="utf-8", cte="quoted-printable")
        return message


def _answered(code: int) -> Retry | Refused:
    return Refused("rejected") if code >= _PERMANENT else Retry("turned-away")
