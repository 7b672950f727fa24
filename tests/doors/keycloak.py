"""`python -m tests.doors.keycloak`: our verifier against a Keycloak that runs already, started as its manual says:

    KC_BOOTSTRAP_ADMIN_USERNAME=admin KC_BOOTSTRAP_ADMIN_PASSWORD=admin bin/kc.sh start-dev --http-port=18080

It makes a realm, a client with a role and an audience, and a person; takes tokens of every kind, rotates the realm's key
under load, and says what was taken and what refused. Exit code 0: as it must be. Needs the network, so no test of every day.
"""

import argparse
import asyncio
import secrets
import sys
from dataclasses import dataclass, field

import httpx
from rapport_chassis.access import TokenVerifier, Unauthenticated
from rich.console import Console

REALM, CLIENT, ROLE = "rapport", "console", "engagement-officer"
PASSWORD = secrets.token_urlsafe(12)
AT_ONCE = 16
console = Console(highlight=False)


class Keycloak:
    """What an administrator would click."""

    def __init__(self, http: httpx.AsyncClient, user: str, password: str) -> None:
        self.http = http
        self._login = {"grant_type": "password", "client_id": "admin-cli", "username": user, "password": password}

    async def token(self, realm: str, **form: str) -> dict[str, str]:
        answer = await self.http.post(f"/realms/{realm}/protocol/openid-connect/token", data=form)
        return answer.raise_for_status().json()

    async def administrator(self) -> str:
        return (await self.token("master", **self._login))["access_token"]

    async def admin(self, method: str, path: str, json: object = None) -> httpx.Response:
        bearer = await self.administrator()
        answer = await self.http.request(
            method, f"/admin/realms{path}", json=json, headers={"Authorization": f"Bearer {bearer}"}
        )
        return answer.raise_for_status()

    async def prepare(self) -> None:
        """A realm anew, with a client that adds `rapport` to the audience, a role, and somebody who has it."""
        if (await self.http.get(f"/realms/{REALM}")).is_success:
            await self.admin("DELETE", f"/{REALM}")
        audience = {
            "name": "audience",
            "protocol": "openid-connect",
            "protocolMapper": "oidc-audience-mapper",
            "config": {"included.custom.audience": "rapport", "access.token.claim": "true"},
        }
        person = {
            "username": "officer",
            "enabled": True,
            "email": "officer@example.org",
            "emailVerified": True,
            "firstName": "Some",
            "lastName": "Officer",
            "credentials": [{"type": "password", "value": PASSWORD, "temporary": False}],
            "realmRoles": [ROLE],
        }
        client = {
            "clientId": CLIENT,
            "publicClient": True,
            "directAccessGrantsEnabled": True,
            "protocolMappers": [audience],
        }
        await self.admin(
            "POST",
            "",
            {
                "realm": REALM,
                "enabled": True,
                "roles": {"realm": [{"name": ROLE}]},
                "clients": [client],
                "users": [person],
            },
        )

    async def tokens(self) -> dict[str, str]:
        """Access, ID and refresh token of the person."""
        return await self.token(
            REALM, grant_type="password", client_id=CLIENT, scope="openid", username="officer", password=PASSWORD
        )

    async def rotate(self, priority: int) -> None:
        """A new signing key, in force at once: Keycloak does not tell of it beforehand."""
        await self.admin(
            "POST",
            f"/{REALM}/components",
            {
                "name": f"key-{priority}",
                "providerId": "rsa-generated",
                "providerType": "org.keycloak.keys.KeyProvider",
                "config": {"priority": [str(priority)], "algorithm": ["RS256"], "keySize": ["2048"]},
            },
        )


@dataclass
class Trial:
    """What came of it, told as it comes."""

    keycloak: Keycloak
    verifier: TokenVerifier
    wrong: list[str] = field(default_factory=list)

    async def taken(self, token: str) -> bool:
        try:
            return ROLE in (await self.verifier.verify(token)).roles
        except Unauthenticated as refused:
            console.print(f"    refused: {refused}")
            return False

    async def expect(self, outcome: str, what: str, token: str) -> None:
        found = "taken" if await self.taken(token) else "refused"
        console.print(f"{'as it must' if found == outcome else 'WRONG     '} {what}: {found}")
        if found != outcome:
            self.wrong.append(what)

    async def kinds(self) -> None:
        """Tokens of every kind."""
        tokens = await self.keycloak.tokens()
        await self.expect("taken", "access token", tokens["access_token"])
        await self.expect("refused", "ID token", tokens["id_token"])
        await self.expect("refused", "refresh token", tokens["refresh_token"])
        await self.expect("refused", "access token of another realm", await self.keycloak.administrator())

    async def rotations(self) -> None:
        """Fresh tokens all the while; Keycloak signs with a new key as soon as there is one."""
        outcomes: list[bool] = []
        working = True

        async def load() -> None:
            while working:
                outcomes.append(await self.taken((await self.keycloak.tokens())["access_token"]))

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(load())
            for turn in range(1, 4):
                mark = len(outcomes)
                await self.keycloak.rotate(200 + turn)
                while len(outcomes) < mark + 3 * AT_ONCE:
                    await asyncio.sleep(0.05)
            working = False
        refused = outcomes.count(False)
        console.print(f"three rotations under load: {len(outcomes)} fresh tokens, {refused} refused")
        if refused:
            self.wrong.append("good tokens refused while keys were rotated")


async def tried(url: str, user: str, password: str) -> list[str]:
    """What is not as it must be."""
    verifier = TokenVerifier(f"{url}/realms/{REALM}", "rapport", roles_claim="realm_access.roles")
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http:
        trial = Trial(Keycloak(http, user, password), verifier)
        await trial.keycloak.prepare()
        await trial.kinds()
        await trial.rotations()
    await verifier.close()
    return trial.wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.doors.keycloak", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:18080")
    parser.add_argument("--user", default="admin")
    parser.add_argument("--password", default="admin")
    options = parser.parse_args()
    return int(bool(asyncio.run(tried(options.url, options.user, options.password))))


if __name__ == "__main__":
    sys.exit(main())
