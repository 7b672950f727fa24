"""A real OIDC issuer for development: published keys, rotation and signed access tokens, but no login page.

Keys and the development client's secret live in one folder. Whoever can read the folder can sign, so the command line
prints tokens whether or not the HTTP side runs, and a rotation made there is published by the next request for the key set.
"""

import base64
import binascii
import json
import os
import secrets
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

CLIENT = "rapport-development"


class Issuer:
    """Signs RFC 9068 access tokens with ES256 keys kept in `folder` (mode 0600) and publishes them under `url`.

    `url` is the value of `iss`; the routes must be served at its root. Tokens are development credentials: anyone with the
    folder or the client secret gets any role.
    """

    def __init__(self, folder: Path, url: str, audience: str = "rapport") -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.url = url.rstrip("/")
        self.audience = audience
        self._keys = folder / "keys.json"
        self._secret = folder / "client_secret"
        _create(self._keys, json.dumps([_new_key()]))
        _create(self._secret, secrets.token_urlsafe(32))

    @property
    def client_secret(self) -> str:
        """Secret of the client-credentials grant, the same for every client id."""
        return self._secret.read_text()

    def token(
        self,
        subject: str,
        roles: Iterable[str],
        *,
        region: str | None = None,
        lifetime: int = 3600,
        extra: Mapping[str, Any] | None = None,
    ) -> str:
        """A signed access token (RFC 9068) living `lifetime` seconds; `extra` adds claims or replaces ours."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.url,
            "aud": self.audience,
            "sub": subject,
            "client_id": CLIENT,
            "iat": now,
            "exp": now + lifetime,
            "jti": str(uuid.uuid4()),
            "roles": list(roles),
        }
        if region is not None:
            claims["region"] = region
        key = ECKey.import_key(self._load()[-1])
        return jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": key.kid}, {**claims, **(extra or {})}, key)

    def rotate(self) -> str:
        """Sign with a new key from now on and keep publishing the older ones; returns the new key id."""
        key = _new_key()
        staged = _staged(self._keys, json.dumps([*self._load(), key]))
        staged.replace(self._keys)
        return str(key["kid"])

    def jwks(self) -> dict[str, Any]:
        """The public half of every key, oldest first (RFC 7517)."""
        return {"keys": [ECKey.import_key(key).as_dict(private=False) for key in self._load()]}

    def metadata(self) -> dict[str, Any]:
        """OpenID Connect Discovery 1.0; no authorization endpoint, because nobody logs in here."""
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/jwks",
            "token_endpoint": f"{self.url}/token",
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "response_types_supported": [],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }

    def routes(self) -> list[Route]:
        """Discovery, key set and token endpoint, to be mounted at the root of `url`."""

        async def discover(_: Request) -> JSONResponse:
            return JSONResponse(self.metadata())

        async def keys(_: Request) -> JSONResponse:
            return JSONResponse(self.jwks(), media_type="application/jwk-set+json")

        async def grant(request: Request) -> JSONResponse:
            return self._grant(
                (await request.body()).decode(errors="replace"), request.headers.get("authorization", "")
            )

        return [
            Route("/.well-known/openid-configuration", discover),
            Route("/jwks", keys),
            Route("/token", grant, methods=["POST"]),
        ]

    def _grant(self, body: str, authorization: str) -> JSONResponse:
        """Client credentials (RFC 6749 section 4.4): the client id becomes the subject, the scope names the roles."""
        form = {name: values[-1] for name, values in parse_qs(body).items()}
        client, secret = _basic(authorization) or (form.get("client_id", ""), form.get("client_secret", ""))
        if not client or not secrets.compare_digest(secret.encode(), self.client_secret.encode()):
            return _refusal(401, "invalid_client", **{"www-authenticate": 'Basic realm="rapport-development"'})
        if form.get("grant_type") != "client_credentials":
            return _refusal(400, "unsupported_grant_type" if "grant_type" in form else "invalid_request")
        scope = form.get("scope", "")
        token = self.token(client, scope.split(), region=form.get("region"), extra={"client_id": client})
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": 3600, "scope": scope}
        return JSONResponse(answer, headers={"cache-control": "no-store"})

    def _load(self) -> list[dict[str, Any]]:
        keys: list[dict[str, Any]] = json.loads(self._keys.read_text())
        return keys


def _new_key() -> dict[str, Any]:
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, private=True, auto_kid=True)
    return dict(key.as_dict(private=True))


def _staged(target: Path, text: str) -> Path:
    """Write `text` to a private file beside `target`, so that nobody ever reads half a file."""
    staged = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    return staged


def _create(target: Path, text: str) -> None:
    """Create `target` unless it exists; of two processes that start together, both end up with the first one's file."""
    if target.exists():
        return
    staged = _staged(target, text)
    try:
        target.hardlink_to(staged)
    except FileExistsError:
        return
    finally:
        staged.unlink()


def _basic(authorization: str) -> tuple[str, str] | None:
    """Client id and secret of HTTP Basic, each form-encoded as RFC 6749 section 2.3.1 asks."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return unquote_plus(client), unquote_plus(secret)


def _refusal(status: int, error: str, **headers: str) -> JSONResponse:
    return JSONResponse({"error": error}, status_code=status, headers={"cache-control": "no-store", **headers})
