"""The real verifier against a real JWKS endpoint. Marked with rows of the catalogue of bad tokens."""

import asyncio
import base64
import hmac
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from rapport_chassis.access import Principal, TokenVerifier, Unauthenticated
from rapport_chassis.errors import Unavailable
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

NOW = 1_800_000_000
A2, A4, A5, A6, A8, A9 = (pytest.mark.catalogue(row) for row in ("A2", "A4", "A5", "A6", "A8", "A9"))
KEY = ECKey.generate_key("P-256", {"kid": "any"}, private=True)


@dataclass
class Issuer:
    """An issuer whose keys can be rotated and which can be away."""

    url: str = ""
    keys: list[Any] = field(default_factory=lambda: [ECKey.generate_key("P-256", {"kid": "one"}, private=True)])
    away: bool = False
    asked: int = 0

    async def configuration(self, _: Request) -> Response:
        return JSONResponse({"issuer": self.url, "jwks_uri": f"{self.url}/jwks"})

    async def jwks(self, _: Request) -> Response:
        self.asked += 1
        if self.away:
            return Response(status_code=503)
        return JSONResponse(KeySet(self.keys).as_dict(private=False))

    def token(self, *, header: dict[str, Any] | None = None, key: Any = None, **claims: Any) -> str:
        key = key or self.keys[-1]
        payload = {
            "iss": self.url,
            "aud": "rapport",
            "sub": "somebody",
            "iat": NOW,
            "exp": NOW + 600,
            "roles": ["analyst"],
            **claims,
        }
        payload = {name: value for name, value in payload.items() if value is not None}
        return jwt.encode({"alg": "ES256", "kid": key.kid, "typ": "at+jwt", **(header or {})}, payload, key)


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    found = Issuer()
    app = Starlette(
        routes=[Route("/.well-known/openid-configuration", found.configuration), Route("/jwks", found.jwks)]
    )
    listening = socket.create_server(("127.0.0.1", 0))
    found.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0)
    yield found
    server.should_exit = True
    await serving
    listening.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def verifier(issuer: Issuer, clock: Clock) -> AsyncIterator[TokenVerifier]:
    found = TokenVerifier(issuer.url, "rapport", clock=clock, elapsed=clock, look_every=0.05)
    yield found
    await found.close()


async def test_a_good_token(issuer: Issuer, verifier: TokenVerifier) -> None:
    principal = await verifier.verify(issuer.token(region="wales", client_id="console"))
    assert principal == Principal("somebody", frozenset({"analyst"}), "wales", "console")
    assert (await verifier.verify(issuer.token(aud=["other", "rapport"]))).subject == "somebody"
    assert issuer.asked == 1


@pytest.mark.parametrize(
    ("claims", "header"),
    [
        pytest.param({"exp": NOW - 31}, {}, marks=A2),
        pytest.param({"nbf": NOW + 31}, {}, marks=A2),
        pytest.param({"iat": NOW + 31}, {}, marks=A2),
        pytest.param({"iat": NOW + 9_999_999_999}, {}, marks=A2),
        pytest.param({"exp": None}, {}, marks=A2),
        pytest.param({"exp": "tomorrow"}, {}, marks=A2),
        ({"sub": None}, {}),
        ({"sub": 7}, {}),
        pytest.param({"iss": "https://elsewhere.example"}, {}, marks=A5),
        pytest.param({"aud": "another"}, {}, marks=A5),
        pytest.param({"aud": None}, {}, marks=A5),
        pytest.param({"aud": ["another"]}, {}, marks=A5),
        pytest.param({"nonce": "x"}, {}, marks=A6),
        pytest.param({"at_hash": "x"}, {}, marks=A6),
        pytest.param({}, {"typ": "id+jwt"}, marks=A6),
        pytest.param({}, {"typ": "rt+jwt"}, marks=A6),
        pytest.param({}, {"kid": "nobody"}, marks=A4),
        pytest.param({}, {"kid": "../../etc/passwd"}, marks=A4),
        ({"roles": "analyst"}, {}),
    ],
)
async def test_bad_claims(
    issuer: Issuer, verifier: TokenVerifier, claims: dict[str, Any], header: dict[str, Any]
) -> None:
    with pytest.raises(Unauthenticated):
        await verifier.verify(issuer.token(header=header, **claims))


@A2
async def test_the_leeway_is_the_one_that_is_set(issuer: Issuer, verifier: TokenVerifier) -> None:
    assert await verifier.verify(issuer.token(exp=NOW - 29))
    assert await verifier.verify(issuer.token(nbf=NOW + 29))


def part(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def unsigned(issuer: Issuer, algorithm: str, kid: str = "one") -> str:
    claims = {"iss": issuer.url, "aud": "rapport", "sub": "x", "exp": NOW + 60, "roles": ["operator"]}
    header = {"alg": algorithm, "kid": kid, "typ": "at+jwt"}
    return f"{part(json.dumps(header).encode())}.{part(json.dumps(claims).encode())}."


def signed_with_public_key(issuer: Issuer, public: bytes) -> str:
    """The oldest trick: a public key taken for a shared secret. joserfc refuses to help with it."""
    text = unsigned(issuer, "HS256", "rsa")
    return text + part(hmac.digest(public, text[:-1].encode(), "sha256"))


@pytest.mark.catalogue("A3", "A4", "A7")
async def test_forgeries(issuer: Issuer, verifier: TokenVerifier) -> None:
    issuer.keys.append(RSAKey.generate_key(2048, {"kid": "rsa"}, private=True))
    good = issuer.token(header={"alg": "RS256"}, key=issuer.keys[1])
    assert await verifier.verify(good)
    stranger = ECKey.generate_key("P-256", {"kid": "one"}, private=True)
    public = issuer.keys[1].as_pem(private=False)
    head, payload, signature = good.split(".")
    own_key = {"jwk": stranger.as_dict(private=False), "jku": "http://127.0.0.1:1/jwks"}
    for bad in (
        unsigned(issuer, "none"),
        unsigned(issuer, "nOnE"),
        unsigned(issuer, "HS256"),
        signed_with_public_key(issuer, public),
        issuer.token(header={"kid": "one"}, key=stranger),
        issuer.token(header={"kid": "one", **own_key}, key=stranger),
        issuer.token(header={"kid": "rsa"}, key=issuer.keys[0]),
        jws_of(
            {"alg": "ES256", "kid": {"$ne": None}},
            {"iss": issuer.url, "aud": "rapport", "sub": "x", "exp": NOW + 60},
            issuer.keys[0],
        ),
        f"{head}.{payload}.{signature[:-8]}",
        f"{head}.{payload[:-4]}AAAA.{signature}",
        f"{head}.{payload}",
        f"{head}.{payload}.{signature}.{signature}",
        "..",
        "",
        "x" * 100_000,
        "ä.ö.ü",
    ):
        with pytest.raises(Unauthenticated):
            await verifier.verify(bad)


async def test_rotation_is_seen_without_a_refused_token(issuer: Issuer, verifier: TokenVerifier, clock: Clock) -> None:
    old = issuer.token()
    await verifier.verify(old)
    clock.now += 31
    issuer.keys.append(ECKey.generate_key("P-256", {"kid": "two"}, private=True))
    assert await verifier.verify(issuer.token())
    assert await verifier.verify(old)


@A8
async def test_the_issuer_is_away(issuer: Issuer, verifier: TokenVerifier, clock: Clock) -> None:
    await verifier.verify(issuer.token())
    issuer.away = True
    clock.now += 120
    assert await verifier.verify(issuer.token(sub="another"))
    stranger = ECKey.generate_key("P-256", {"kid": "unknown"}, private=True)
    asked = issuer.asked
    refused = [verifier.verify(issuer.token(key=stranger, jti=str(n))) for n in range(50)]
    outcomes = await asyncio.gather(*refused, return_exceptions=True)
    assert all(isinstance(outcome, Unauthenticated) for outcome in outcomes)
    assert issuer.asked <= asked + 2  # one is under way when the others come, and may have been too early for them
    clock.now += 601
    assert await verifier.verify(issuer.token(exp=NOW + 3600)), "old keys go on while nobody can say otherwise"


@A8
async def test_keys_are_rotated_under_load_and_no_good_token_is_refused(issuer: Issuer) -> None:
    """The issuer signs with a key as soon as it has published it, as Keycloak does; strangers ask all the while."""
    verifier = TokenVerifier(issuer.url, "rapport", clock=Clock(), look_every=0.1)
    stranger = ECKey.generate_key("P-256", {"kid": "unknown"}, private=True)
    taken = refused = 0
    started, rotating = asyncio.get_running_loop().time(), True

    async def good(who: int) -> None:
        nonlocal taken
        while rotating:
            await verifier.verify(issuer.token(sub=f"{who}", jti=f"{taken}"))
            taken += 1
            await asyncio.sleep(0)

    async def bad(who: int) -> None:
        nonlocal refused
        while rotating:
            with pytest.raises(Unauthenticated):
                await verifier.verify(issuer.token(key=stranger, jti=f"{who}/{refused}"))
            refused += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as load:
        for who in range(8):
            load.create_task(good(who))
            load.create_task(bad(who))
        for turn in range(5):
            issuer.keys.append(ECKey.generate_key("P-256", {"kid": f"turn {turn}"}, private=True))
            mark = taken, refused
            while taken < mark[0] + 16 or refused < mark[1] + 8:
                await asyncio.sleep(0.01)
        rotating = False
    elapsed = asyncio.get_running_loop().time() - started
    assert issuer.asked <= elapsed / 0.1 + 2, "a flood of looks"
    await verifier.close()


@A9
async def test_a_role_that_was_taken_away_is_gone_within_the_time_that_is_told(
    issuer: Issuer, verifier: TokenVerifier, clock: Clock
) -> None:
    with pytest.raises(Unauthenticated, match="good for longer than 86400 s"):
        await verifier.verify(issuer.token(exp=NOW + 86_400 + 31))
    before = issuer.token(exp=NOW + 86_400, roles=["analyst", "operator"])
    assert "operator" in (await verifier.verify(before)).roles
    after = issuer.token(exp=NOW + 86_400, roles=["analyst"])
    assert (await verifier.verify(after)).roles == {"analyst"}
    clock.now += 86_400 + 30
    with pytest.raises(Unauthenticated):
        await verifier.verify(before)


async def test_a_cached_token_still_expires(issuer: Issuer, verifier: TokenVerifier, clock: Clock) -> None:
    token = issuer.token(exp=NOW + 20)
    await verifier.verify(token)
    clock.now += 51
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)


async def test_edwards_curves_are_taken_under_their_old_name(issuer: Issuer, verifier: TokenVerifier) -> None:
    issuer.keys.append(OKPKey.generate_key("Ed25519", {"kid": "ed"}, private=True))
    registry = jws.JWSRegistry(algorithms=["EdDSA"])
    with pytest.warns(SecurityWarning, match="RFC 9864"):
        token = jwt.encode(
            {"alg": "EdDSA", "kid": "ed"},
            {"iss": issuer.url, "aud": "rapport", "sub": "x", "exp": NOW + 60, "azp": "console"},
            issuer.keys[-1],
            registry=registry,
        )
    assert (await verifier.verify(token)).client == "console"


@pytest.mark.parametrize(
    "claims", [{"typ": "ID"}, {"typ": "Refresh"}, {"typ": 7}, {"token_use": "id"}, {"c_hash": "x"}]
)
@A6
async def test_other_tokens_of_the_same_issuer(issuer: Issuer, verifier: TokenVerifier, claims: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        await verifier.verify(issuer.token(**claims))
    assert await verifier.verify(issuer.token(typ="Bearer", token_use="access"))


async def test_header_parameters_of_the_issuer_s_own_do_not_matter(issuer: Issuer, verifier: TokenVerifier) -> None:
    custom = jws.JWSRegistry(algorithms=["ES256"], strict_check_header=False)
    header = {"alg": "ES256", "kid": "one", "vendor": "x", "typ": "JWT"}
    claims = {"iss": issuer.url, "aud": "rapport", "sub": "x", "exp": NOW + 60}
    assert await verifier.verify(jwt.encode(header, claims, issuer.keys[0], registry=custom))
    crit = header | {"crit": ["vendor"]}
    with pytest.raises(Unauthenticated):
        await verifier.verify(jws_of(crit, claims, issuer.keys[0]))


def jws_of(header: dict[str, Any], claims: dict[str, Any], key: Any) -> str:
    """Signed as it stands, for headers that the library would not write."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    signature = jws.JWSRegistry.algorithms["ES256"].sign(b".".join(parts), key)
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


async def test_a_clock_that_is_set_back_keeps_nothing_alive(issuer: Issuer, clock: Clock) -> None:
    elapsed = Clock()
    verifier = TokenVerifier(issuer.url, "rapport", clock=clock, elapsed=elapsed)
    token = issuer.token()
    await verifier.verify(token)
    clock.now -= 3600
    elapsed.now += 61
    with pytest.raises(Unauthenticated):  # by this clock it was issued in the future
        await verifier.verify(token)
    issuer.keys.append(ECKey.generate_key("P-256", {"kid": "two"}, private=True))
    assert await verifier.verify(issuer.token(iat=NOW - 3600))
    await verifier.close()


async def test_a_token_without_a_key_id(issuer: Issuer, verifier: TokenVerifier, clock: Clock) -> None:
    claims = {"iss": issuer.url, "aud": "rapport", "sub": "x", "exp": NOW + 900}
    token = jwt.encode({"alg": "ES256"}, claims, issuer.keys[0])
    assert await verifier.verify(token)
    issuer.keys.append(ECKey.generate_key("P-256", {"kid": "two"}, private=True))
    clock.now += 601
    with pytest.raises(Unauthenticated):  # one of two would be a guess
        await verifier.verify(token)


@pytest.mark.catalogue("A8", "A9")
async def test_a_withdrawn_key_is_forgotten(issuer: Issuer, verifier: TokenVerifier, clock: Clock) -> None:
    old = issuer.token(exp=NOW + 3600)
    await verifier.verify(old)
    issuer.keys = [ECKey.generate_key("P-256", {"kid": "two"}, private=True)]
    clock.now += 601
    with pytest.raises(Unauthenticated):
        await verifier.verify(old)


@A8
async def test_an_issuer_that_was_never_there(issuer: Issuer, verifier: TokenVerifier, clock: Clock) -> None:
    issuer.away = True
    waiting = (verifier.verify(issuer.token(jti=str(n))) for n in range(20))
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
    assert issuer.asked == 1
    issuer.away = False
    clock.now += 1
    assert await verifier.verify(issuer.token())


@A5
async def test_keys_of_another_issuer_are_not_taken(issuer: Issuer, clock: Clock) -> None:
    stranger = TokenVerifier(issuer.url + "/", "rapport", clock=clock, elapsed=clock)
    with pytest.raises(Unavailable):
        await stranger.verify(issuer.token())
    await stranger.close()


@pytest.mark.catalogue("A7")
@given(st.one_of(st.text(), st.from_regex(r"[\w-]{1,40}\.[\w-]{1,40}\.[\w-]{1,40}", fullmatch=True)))
@settings(deadline=None)
async def test_nothing_but_a_token_is_one(token: str) -> None:
    verifier = TokenVerifier("https://issuer.example.org", "rapport")
    verifier.trust(KeySet([KEY]))
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)
