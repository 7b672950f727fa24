"""Who calls: bearer tokens of any OpenID Connect issuer, checked by the letter of RFC 7519, 8725 and 9068.

The keys come from the issuer's JWKS, never from the token (no `jku`, `x5u`, `jwk`); the algorithm must be on the list
and fit the key's type; ID tokens and refresh tokens are no access tokens. Keys are cached: known ones go on while the
issuer is away, an unknown one makes one look at the issuer, at most every half minute, and is refused otherwise.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import structlog
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

LONGEST_TOKEN = 8 * 1024
REFRESH_EVERY = 30.0
CACHED_TOKENS = 4_096
CACHED_SECONDS = 60.0
ACCESS_TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt"})
KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


class Unauthenticated(Exception):
    """No token, or one that is not good: 401. `reason` is for the WWW-Authenticate header, None without a token."""

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason or "a bearer token is needed")
        self.reason = reason


class Forbidden(Exception):
    """The token is good, its roles are not enough: 403."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts: the token's subject, its roles, and the region it is bound to, if any."""

    subject: str
    roles: frozenset[str]
    region: str | None = None
    client: str | None = None


@dataclass(slots=True)
class TokenVerifier:
    """Verifies tokens of one issuer for one audience."""

    issuer: str
    audience: str
    jwks_url: str | None = None
    algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    leeway: int = 30
    roles_claim: str = "roles"
    clock: Callable[[], float] = time.time
    _http: httpx.AsyncClient | None = None
    _keys: dict[str, Any] = field(default_factory=dict)
    _looked: float = float("-inf")
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _verified: OrderedDict[bytes, tuple[float, Principal]] = field(default_factory=OrderedDict)

    async def verify(self, token: str) -> Principal:
        """Who the token speaks for. Raises Unauthenticated."""
        if len(token) > LONGEST_TOKEN:
            raise Unauthenticated("the token is too long")
        mark = hashlib.sha256(token.encode()).digest()
        known = self._verified.get(mark)
        if known is not None and self.clock() < known[0]:
            return known[1]
        claims = await self._claims(token)
        principal = self._principal(claims)
        until = min(claims["exp"] + self.leeway, self.clock() + CACHED_SECONDS)
        self._verified[mark] = until, principal
        if len(self._verified) > CACHED_TOKENS:
            self._verified.popitem(last=False)
        return principal

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            header = jws.extract_compact(token.encode()).headers()
        except (JoseError, ValueError) as error:
            raise Unauthenticated("malformed token") from error
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in self.algorithms:
            raise Unauthenticated("the algorithm is not allowed")
        if str(header.get("typ", "JWT")).lower() not in ACCESS_TOKEN_TYPES:
            raise Unauthenticated("not an access token")
        key = await self._key(kid)
        if key is None or key.key_type != KEY_TYPES.get(algorithm[:2]):
            raise Unauthenticated("unknown key")
        try:
            claims = dict(jwt.decode(token, key, algorithms=list(self.algorithms)).claims)
            jwt.JWTClaimsRegistry(
                now=lambda: int(self.clock()),
                leeway=self.leeway,
                iss={"essential": True, "value": self.issuer},
                exp={"essential": True},
                sub={"essential": True},
            ).validate(claims)
        except (JoseError, ValueError, TypeError) as error:
            raise Unauthenticated(f"refused: {type(error).__name__}") from error
        return claims

    def _principal(self, claims: dict[str, Any]) -> Principal:
        audience = claims.get("aud")
        if self.audience not in ([audience] if isinstance(audience, str) else audience or []):
            raise Unauthenticated("another audience")
        if "nonce" in claims or "at_hash" in claims or claims.get("token_use") == "id":
            raise Unauthenticated("not an access token")
        roles: Any = claims
        for part in self.roles_claim.split("."):
            roles = roles.get(part) if isinstance(roles, dict) else None
        if not isinstance(claims["sub"], str) or not isinstance(roles or [], list):
            raise Unauthenticated("malformed claims")
        region, client = claims.get("region"), claims.get("client_id")
        return Principal(
            claims["sub"],
            frozenset(role for role in roles or [] if isinstance(role, str)),
            region if isinstance(region, str) else None,
            client if isinstance(client, str) else None,
        )

    async def _key(self, kid: object) -> Any:
        if not isinstance(kid, str):
            return None
        if kid not in self._keys:
            async with self._looking:
                if kid not in self._keys and self.clock() - self._looked >= REFRESH_EVERY:
                    self._looked = self.clock()
                    await self._fetch()
        return self._keys.get(kid)

    async def _fetch(self) -> None:
        """Take the issuer's keys; when it does not answer, those that are known stay."""
        if self._http is None:
            self._http = httpx.AsyncClient(timeout=5, follow_redirects=False)
        try:
            url = self.jwks_url
            if url is None:
                found = await self._http.get(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
                url = found.raise_for_status().json()["jwks_uri"]
            response = await self._http.get(url)
            keys = KeySet.import_key_set(response.raise_for_status().json())
        except (httpx.HTTPError, JoseError, ValueError, KeyError, TypeError) as error:
            log.warning("the issuer's keys cannot be read", error=type(error).__name__)
            if not self._keys:
                self._looked = float("-inf")  # nothing works without keys: look again with the next request
            return
        self.trust(keys)

    def trust(self, keys: KeySet) -> None:
        """From now on these are the issuer's keys. A shared secret is none: whoever can verify with it can also sign."""
        self._keys = {key.kid: key for key in keys.keys if key.kid and key.key_type != "oct"}
