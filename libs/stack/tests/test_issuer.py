import base64
import stat
import subprocess
import sys

import httpx
import pytest
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError
from joserfc.jwk import KeySet
from rapport_stack.issuer import Issuer
from starlette.applications import Starlette

URL = "http://127.0.0.1:1"


@pytest.fixture
def issuer(tmp_path):
    return Issuer(tmp_path / "issuer", URL)


@pytest.fixture
async def http(issuer):
    transport = httpx.ASGITransport(Starlette(routes=issuer.routes()))
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        yield client


async def published(http):
    metadata = (await http.get("/.well-known/openid-configuration")).raise_for_status().json()
    assert metadata["issuer"] == URL
    return KeySet.import_key_set((await http.get(metadata["jwks_uri"])).raise_for_status().json())


async def test_a_token_is_verified_through_the_published_keys(issuer, http):
    token = issuer.token("someone", ["analyst", "operator"], region="GLOUCESTER", lifetime=60)
    decoded = jwt.decode(token, await published(http), algorithms=["ES256"])

    assert decoded.header["typ"] == "at+jwt"
    claims = decoded.claims
    assert (claims["iss"], claims["aud"], claims["sub"]) == (URL, "rapport", "someone")
    assert claims["roles"] == ["analyst", "operator"]
    assert claims["region"] == "GLOUCESTER"
    assert claims["exp"] - claims["iat"] == 60
    assert claims["jti"]
    assert claims["client_id"]


async def test_after_a_rotation_old_and_new_tokens_are_good(issuer, http):
    old = issuer.token("someone", [])
    kid = issuer.rotate()
    new = issuer.token("someone", [])
    keys = await published(http)

    assert jwt.decode(new, keys, algorithms=["ES256"]).header["kid"] == kid
    assert jwt.decode(old, keys, algorithms=["ES256"]).header["kid"] != kid


async def test_the_keys_outlive_the_process_and_are_private(issuer, http, tmp_path):
    token = Issuer(tmp_path / "issuer", URL).token("someone", [])
    jwt.decode(token, await published(http), algorithms=["ES256"])

    for file in (tmp_path / "issuer").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert all("d" not in key for key in (await http.get("/jwks")).json()["keys"])


async def test_another_folder_signs_with_another_key(http, tmp_path):
    stranger = Issuer(tmp_path / "stranger", URL)
    with pytest.raises(InvalidKeyIdError):
        jwt.decode(stranger.token("someone", []), await published(http), algorithms=["ES256"])


def test_processes_that_start_together_agree_on_one_key(tmp_path):
    script = (
        "import sys; from pathlib import Path; from rapport_stack.issuer import Issuer;"
        f"print(Issuer(Path(sys.argv[1]), {URL!r}).jwks()['keys'][0]['kid'])"
    )
    racers = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "shared")], stdout=subprocess.PIPE, text=True)  # noqa: S603
        for _ in range(3)
    ]
    assert len({racer.communicate(timeout=30)[0] for racer in racers}) == 1


async def test_client_credentials_give_a_token(issuer, http):
    form = {"grant_type": "client_credentials", "scope": "collector analyst"}
    answer = await http.post("/token", data=form, auth=("survey-front-end", issuer.client_secret))
    assert answer.status_code == 200
    assert answer.json()["token_type"] == "Bearer"
    claims = jwt.decode(answer.json()["access_token"], await published(http), algorithms=["ES256"]).claims
    assert (claims["sub"], claims["client_id"]) == ("survey-front-end", "survey-front-end")
    assert claims["roles"] == ["collector", "analyst"]

    posted = form | {"client_id": "survey-front-end", "client_secret": issuer.client_secret}
    assert (await http.post("/token", data=posted)).status_code == 200


@pytest.mark.parametrize(
    ("authorization", "form", "status", "error"),
    [
        (None, {"grant_type": "client_credentials"}, 401, "invalid_client"),
        (
            "Basic " + base64.b64encode(b"me:wrong").decode(),
            {"grant_type": "client_credentials"},
            401,
            "invalid_client",
        ),
        ("Basic not base64", {"grant_type": "client_credentials"}, 401, "invalid_client"),
        ("right", {"grant_type": "password"}, 400, "unsupported_grant_type"),
        ("right", {}, 400, "invalid_request"),
    ],
)
async def test_a_bad_grant_is_refused(issuer, http, authorization, form, status, error):
    if authorization == "right":
        authorization = "Basic " + base64.b64encode(f"me:{issuer.client_secret}".encode()).decode()
    answer = await http.post("/token", data=form, headers={"authorization": authorization} if authorization else {})
    assert (answer.status_code, answer.json()) == (status, {"error": error})
