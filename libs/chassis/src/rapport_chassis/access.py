"""Who calls: bearer tokens of any OpenID Connect issuer, checked by the letter of RFC 7519, 8725 and 9068.

The keys come from the issuer's JWKS, never from the token (no `jku`, `x5u`, `jwk`); the algorithm must be on the list
and fit the key's type; ID tokens and refresh tokens are no access tokens. Keys are cached: known ones go on while the
issuer is away; a token with an unknown one waits for a look at the issuer, one of which is made every five seconds at
most, whoever asks and however often: so no flood of them hides a rotation. Keys are taken anew every ten minutes, so
that one the issuer withdrew is forgotten.

What a token says is believed until it expires. So that a role that was taken away is gone within a time that can be
told, a token that is good for longer than `longest` is not taken.
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
from joserfc.errors import BadSignatureError, ExpiredTokenError, JoseError, MissingClaimError, UnsupportedAlgorithmError
from joserfc.jwk import KeySet

from rapport_chassis.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from joserfc.jwa import JWSAlgModel

log = structlog.get_logger(__name__)

LONGEST_TOKEN = 8 * 1024
LOOK_EVERY = 5.0
FIRST_EVERY = 1.0
KEYS_AGE = 600.0
CACHED_TOKENS = 4_096
CACHED_SECONDS = 60.0
ACCESS_TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt"})
ACCESS_CLAIM_TYPES = frozenset({"bearer", "at+jwt", "jwt"})
KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
NEAR = frozenset({"127.0.0.1", "::1", "localhost"})
_REASONS: dict[type[Exception], str] = {
    ExpiredTokenError: "the token has expired",
    BadSignatureError: "the signature does not fit",
    MissingClaimError: "a claim is missing",
}


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
    longest: int = 86_400
    """Seconds from now for which a token may be good: the time within which a role that was taken away is gone."""
    look_every: float = LOOK_EVERY
    """Seconds between looks at the issuer's keys, at least, once some are known."""
    clock: Callable[[], float] = time.time
    """What the claims are held against."""
    elapsed: Callable[[], float] = time.monotonic
    """What durations are measured with: a clock that is set back must not keep alive what was to be looked at again."""
    _http: httpx.AsyncClient | None = None
    _keys: dict[str, Any] = field(default_factory=dict)
    _looks: int = 0
    _looked: float = float("-inf")
    _taken: float = float("-inf")
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _verified: OrderedDict[bytes, tuple[float, float, Principal]] = field(default_factory=OrderedDict)

    async def verify(self, token: str) -> Principal:
        """Who the token speaks for. Raises Unauthenticated; Unavailable while the issuer's keys were never seen."""
        if len(token) > LONGEST_TOKEN:
            raise Unauthenticated("the token is too long")
        mark = hashlib.sha256(token.encode()).digest()
        known = self._verified.get(mark)
        if known is not None:
            looked_at, expires, principal = known
            if self.elapsed() - looked_at < CACHED_SECONDS and self.clock() < expires:
                return principal
        claims = await self._claims(token)
        principal = self._principal(claims)
        self._verified[mark] = self.elapsed(), claims["exp"] + self.leeway, principal
        if len(self._verified) > CACHED_TOKENS:
            self._verified.popitem(last=False)
        return principal

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def _claims(self, token: str) -> dict[str, Any]:
        # Issuers add header parameters of their own; none of them has a say here.
        registry = _Algorithms(algorithms=self.algorithms, strict_check_header=False)
        try:
            header = jws.extract_compact(token.encode(), registry=registry).headers()
            algorithm, kid = header["alg"], header.get("kid")
        except (JoseError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise Unauthenticated("malformed token") from error
        if algorithm not in self.algorithms:
            raise Unauthenticated("the algorithm is not allowed")
        if str(header.get("typ", "JWT")).lower() not in ACCESS_TOKEN_TYPES:
            raise Unauthenticated("not an access token")
        key = await self._key(kid)
        if key is None or key.key_type != KEY_TYPES.get(algorithm[:2]):
            raise Unauthenticated("unknown key")
        try:
            claims = dict(jwt.decode(token, key, registry=registry).claims)
            jwt.JWTClaimsRegistry(
                now=lambda: int(self.clock()),
                leeway=self.leeway,
                iss={"essential": True, "value": self.issuer},
                exp={"essential": True},
                sub={"essential": True},
            ).validate(claims)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise Unauthenticated(_REASONS.get(type(error), "a claim is not as it must be")) from error
        return claims

    def _principal(self, claims: dict[str, Any]) -> Principal:
        audience = claims.get("aud")
        if self.audience not in ([audience] if isinstance(audience, str) else audience or []):
            raise Unauthenticated("another audience")
        if claims["exp"] > self.clock() + self.longest + self.leeway:
            raise Unauthenticated(f"the token is good for longer than {self.longest} s")
        if (
            not {"nonce", "at_hash", "c_hash"}.isdisjoint(claims)
            or claims.get("token_use", "access") != "access"
            or str(claims.get("typ", "bearer")).lower() not in ACCESS_CLAIM_TYPES
        ):
            raise Unauthenticated("not an access token")
        roles: Any = claims
        for part in self.roles_claim.split("."):
            roles = roles.get(part) if isinstance(roles, dict) else None
        region, client = claims.get("region"), claims.get("client_id", claims.get("azp"))
        if (
            not isinstance(claims["sub"], str)
            or not isinstance(roles or [], list)
            or not isinstance(region, str | None)  # bound to something we do not understand is not bound to nothing
        ):
            raise Unauthenticated("malformed claims")
        return Principal(
            claims["sub"],
            frozenset(role for role in roles or [] if isinstance(role, str)),
            region,
            client if isinstance(client, str) else None,
        )

    async def _key(self, kid: object) -> Any:
        """The issuer's key of that name; without a name its only key."""
        if not isinstance(kid, str | None):
            return None
        if (
            not self._keys
            or (kid is not None and kid not in self._keys)
            or (self.elapsed() - self._taken >= KEYS_AGE and not self._looking.locked() and not self._pause())
        ):
            await self._look()
        if not self._keys:
            raise Unavailable("the issuer's keys cannot be read")
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    async def _look(self) -> None:
        """A look at the issuer that begins after this: one before may not have seen the key. It serves all who wait."""
        before = self._looks
        async with self._looking:
            if self._looks != before:
                return
            if pause := self._pause():
                if not self._keys:
                    return
                await asyncio.sleep(pause)
            self._looks += 1
            await self._fetch()
            self._looked = self.elapsed()

    def _pause(self) -> float:
        """Seconds until the next look."""
        every = self.look_every if self._keys else FIRST_EVERY
        return max(0.0, self._looked + every - self.elapsed())

    async def _fetch(self) -> None:
        """Take the issuer's keys; when it does not answer, those that are known stay."""
        if self._http is None:
            near = httpx.URL(self.jwks_url or self.issuer).host in NEAR
            self._http = httpx.AsyncClient(
                timeout=5, follow_redirects=False, trust_env=not near
            )  # proxies are for afar
        try:
            url = self.jwks_url or await self._discover(self._http)
            response = await self._http.get(url)
            keys = KeySet.import_key_set(response.raise_for_status().json())
        except (httpx.HTTPError, httpx.InvalidURL, JoseError, ValueError, KeyError, TypeError) as error:
            log.warning("the issuer's keys cannot be read", error=type(error).__name__, known=len(self._keys))
            return
        self.trust(keys)

    async def _discover(self, http: httpx.AsyncClient) -> str:
        found = await http.get(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        configuration = found.raise_for_status().json()
        if configuration["issuer"] != self.issuer:
            raise ValueError("another issuer's configuration")
        return str(configuration["jwks_uri"])

    def trust(self, keys: KeySet) -> None:
        """From now on these are the issuer's keys. A shared secret is none: whoever can verify with it can also sign."""
        self._keys = {
            key.kid: key for key in keys.keys if key.kid and key.key_type != "oct" and key.get("use", "sig") == "sig"
        }
        self._taken = self.elapsed()


class _Algorithms(jws.JWSRegistry):
    """What the settings allow and nothing else.

    The library warns of "EdDSA" (RFC 9864 prefers "Ed25519"), which issuers go on writing; bound to its key it is as good.
    """

    def get_alg(self, name: str) -> JWSAlgModel:
        if not self.allowed or name not in self.allowed:
            raise UnsupportedAlgorithmError
        return self.algorithms[name]
