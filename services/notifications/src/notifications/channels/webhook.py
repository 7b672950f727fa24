"""Webhooks, as Standard Webhooks 1.0 prescribe (https://github.com/standard-webhooks/standard-webhooks).

A subscriber chooses the URL, so the request must not become a way into our own network: https to public addresses
only, the address looked up here is the one connected to, and no redirect is followed.
"""

import asyncio
import base64
import ipaddress
import json
import re
import secrets
import socket
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from urllib.parse import SplitResult, urlsplit

import httpx
from standardwebhooks import Webhook as Signer

from notifications.channels.channel import AddressRefused, Refused, Retry
from notifications.domain.message import Letter, Rendered
from notifications.settings import WebhookSettings

_PORTS = {"https": 443, "http": 80}
_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
"""What resolvers take for part of an IPv4 address, where no name may end (WHATWG URL, "ends in a number")."""
_SECRET_BYTES = 32  # the specification asks for 24 to 64
_GONE = 410
_TUNNELS = tuple(ipaddress.ip_network(n) for n in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"))
"""IPv6 addresses that carry an IPv4 address within (NAT64, 6to4, Teredo), and so may lead anywhere."""


class Webhook:
    """`webhook-id` is the message's id: the same on every attempt, so that the receiver can drop a second one."""

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=ssl.create_default_context(cafile=self._settings.ca_file),
            follow_redirects=False,
            trust_env=False,
            timeout=self._settings.timeout_seconds,
            headers={"User-Agent": "Rapport-Notifications/1"},
        )

    def check(self, address: str) -> None:
        parts = _split(address)
        if parts.scheme != "https" and not (self._settings.allow_insecure and parts.scheme == "http"):
            raise AddressRefused("the URL must begin with https://")
        host = parts.hostname or ""
        try:
            literal = ipaddress.ip_address(host)
        except ValueError:
            if host == "localhost" or host.endswith(".localhost"):
                self._admit(ipaddress.ip_address("127.0.0.1"))
            if _NUMBER.fullmatch(host.removesuffix(".").rpartition(".")[2]):
                raise AddressRefused("an IPv4 address is written as four decimal numbers") from None
            return  # a name: looked up at the moment of sending, when it counts
        self._admit(literal)

    def new_secret(self) -> str:
        return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()

    async def send(self, letter: Letter, rendered: Rendered) -> None:
        if letter.secret is None:
            raise Refused("no-secret")
        now = datetime.now(UTC)
        body = _payload(letter, rendered)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": letter.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Signer(letter.secret).sign(letter.id, now, body),
        }
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                answer = await self._post(letter.address, body, headers)
        except AddressRefused as error:
            raise Refused("address-refused") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Retry("unreachable") from error
        if answer.status_code == _GONE:
            raise Refused("gone")
        if not answer.is_success:
            raise Retry("turned-away", _retry_after(answer.headers.get("retry-after"), now))

    async def close(self) -> None:
        if "_client" in self.__dict__:  # made with the first message
            await self._client.aclose()

    async def _post(self, address: str, body: str, headers: dict[str, str]) -> httpx.Response:
        """The answer's head; its body is never read.

        The name is looked up once, and what was checked is what is connected to: the URL gets the address, while Host
        and TLS keep the name. So a name that changes its address in between leads nowhere else.
        """
        self.check(address)
        parts = _split(address)
        host = parts.hostname or ""
        literals = await self._looked_up(host, parts.port or _PORTS[parts.scheme])
        while True:
            request = self._client.build_request(
                "POST",
                httpx.URL(address).copy_with(host=literals.pop(0)),
                content=body.encode(),
                headers={**headers, "Host": parts.netloc},
                extensions={"sni_hostname": host},
            )
            try:
                answer = await self._client.send(request, stream=True)
            except httpx.ConnectError:
                if not literals:
                    raise
            else:
                await answer.aclose()
                return answer

    async def _looked_up(self, host: str, port: int) -> list[str]:
        """All addresses of a name, best first. Raises AddressRefused where one of them is not public."""
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(place[4][0]) for place in found]
        for address in addresses:
            self._admit(ipaddress.ip_address(address))
        return addresses

    def _admit(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
        if not self._settings.allow_insecure and not _public(address):
            raise AddressRefused("the URL must lead to a public address")


def _split(address: str) -> SplitResult:
    if not _VISIBLE_ASCII.fullmatch(address):
        raise AddressRefused("the URL must be visible ASCII")
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise AddressRefused("not a URL") from None
    if parts.scheme not in _PORTS or not parts.hostname or port == 0 or "\\" in address:
        raise AddressRefused("not a URL of the form https://host/path")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused("the URL must not carry a user name or password")
    return parts


def _public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return _public(address.ipv4_mapped)
        if any(address in tunnel for tunnel in _TUNNELS):
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _payload(letter: Letter, rendered: Rendered) -> str:
    """`{type, timestamp, data}` (Standard Webhooks); the facts are under `facts`, what people read beside them."""
    data = {
        "event_id": letter.cause,
        "synthetic": letter.synthetic,
        "subject": rendered.subject,
        "text": rendered.text,
        "facts": json.loads(letter.facts),
    }
    payload = {"type": letter.event_type, "timestamp": letter.occurred_at.isoformat(), "data": data}
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def _retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds from a Retry-After header (RFC 9110: a number or a date); None for none, or for nonsense."""
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value).astimezone(UTC) - now).total_seconds())
    except (ValueError, OverflowError):
        return None
