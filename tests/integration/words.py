"""Unmistakable words for whatever may be personal, and a sender none of whose requests is free of them."""

import secrets
from typing import Any

import httpx

from tests.integration.clear_text import MARK
from tests.integration.rapport import ROLES, Rapport


class Words:
    """Words that exist nowhere else, and what was answered where they were refused."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self.refusals: list[tuple[str, bytes]] = []

    def new(self, what: str) -> str:
        self.all.append(f"{MARK}{what}{secrets.token_hex(8)}")
        return self.all[-1]

    def mail(self) -> str:
        return f"{self.new('mail')}@example.org"

    def phone(self) -> str:
        digits = "".join(secrets.choice("0123456789") for _ in range(14))
        self.all.append(digits)
        return f"+{digits}"


class Sender:
    """A service for one colleague; nothing that is sent through it is free of words."""

    def __init__(self, rapport: Rapport, words: Words, colleague: str) -> None:
        self._rapport = rapport
        self._words = words
        self._token = rapport.platform.bench.issuer().token(colleague, ROLES)

    async def send(
        self, method: str, service: str, path: str, *, expect: set[int], key: str = "", **request: Any
    ) -> httpx.Response:
        """Whatever is refused is noted with its answer."""
        words = self._words
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Idempotency-Key": key or words.new("key"),
            "User-Agent": words.new("agent"),
            "Referer": f"https://{words.new('referer')}.example.org/",
            "X-Forwarded-For": words.new("forwarded"),
            "Cookie": f"session={words.new('cookie')}",
            "baggage": f"user={words.new('baggage')}",
            **request.pop("headers", {}),
        }
        answered = await self._rapport.http(service).request(method, path, headers=headers, **request)
        where = f"{method} {service}{path.partition('?')[0]}"
        assert answered.status_code in expect, f"{where}: {answered.status_code} {answered.text}"
        if not answered.is_success or "import" in path:
            words.refusals.append((f"answer to {where}", answered.content))
        return answered
