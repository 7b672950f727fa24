"""One service from HTTP or an event to what it tells, over a real MongoDB: for the component tests of services."""

from __future__ import annotations

import base64
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from pymongo.errors import AutoReconnect
from rapport_events.catalog import decode
from rapport_events.envelope import Envelope

from rapport_chassis.allowances import RULES
from rapport_chassis.unit_of_work import Circumstances, new_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI
    from rapport_events.event import Event

    from rapport_chassis.runtime import Runtime
    from rapport_chassis.service import Service

ISSUER = "https://issuer.test"


@dataclass(slots=True)
class Component:
    """A running service without its worker. `http(*roles)` gives a client with a token of these roles."""

    service: Service
    app: FastAPI
    key: ECKey

    @property
    def runtime(self) -> Runtime:
        runtime: Runtime = self.app.state.runtime
        return runtime

    def token(self, *roles: str, subject: str = "tester", **claims: Any) -> str:
        """An access token as the service's issuer would give it."""
        now = int(time.time())
        payload = {
            "iss": ISSUER,
            "aud": "rapport",
            "sub": subject,
            "iat": now,
            "exp": now + 600,
            "roles": list(roles),
            **claims,
        }
        return jwt.encode({"alg": "ES256", "kid": self.key.kid, "typ": "at+jwt"}, payload, self.key)

    def http(self, *roles: str, subject: str = "tester", **claims: Any) -> httpx.AsyncClient:
        """A client of the API; without roles it sends no token."""
        headers = {"Authorization": f"Bearer {self.token(*roles, subject=subject, **claims)}"} if roles else {}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://service.test", headers=headers)

    async def events(self) -> list[Event]:
        """Everything in the journal, in order."""
        cursor = self.runtime.database["journal"].find().sort([("pos", 1), ("_id", 1)])
        return [decode(Envelope.from_structured(entry["envelope"])) async for entry in cursor]

    async def empty(self) -> None:
        """As if it had just been made: a test that shares it begins with this."""
        for database in (self.runtime.database, self.runtime.client[self.runtime.settings.keyring]):
            for name in await database.list_collection_names(filter={"name": {"$nin": ["vault", "secrets"]}}):
                await database[name].delete_many({})
        self.runtime.gate.unsent = 0

    async def consume(self, event: Event, *, id_: str | None = None) -> None:
        """Apply an event as the consumer would, batch hook included."""
        unit = self.runtime.unit(Circumstances(source="urn:rapport:test", actor=self.service.name))
        unit.consumed = Envelope.of(
            event, id=id_ or new_id(), source="urn:rapport:test", time=unit.now, correlationid="test"
        )
        await self.service.consumes[type(event)](event, unit)
        if self.service.after_batch is not None:
            unit.consumed = None
            await self.service.after_batch(unit)
        await self.runtime.commit(await unit.write_set())
        unit.committed()


@asynccontextmanager
async def component(
    service: Service, mongo_uri: str, database_prefix: str, **settings: Any
) -> AsyncIterator[Component]:
    """The service's API over databases of its own, which are dropped in the end. Nobody is limited, unless `limits` say so."""
    settings = {"limits": dict.fromkeys(RULES, "1000000000/1"), **settings}
    made = service.settings(
        service=service.name,
        mongo_uri=mongo_uri,
        mongo_database_prefix=f"{database_prefix}_",
        keyring_master_key=base64.b64encode(bytes(96)).decode(),
        oidc_issuer=ISSUER,
        **settings,
    )
    app = service.app(made)
    key = ECKey.generate_key("P-256", {"kid": "test", "use": "sig"}, private=True)
    app.state.verifier.trust(KeySet([key]))
    async with app.router.lifespan_context(app):
        running = Component(service, app, key)
        try:
            yield running
        finally:
            client = running.runtime.client
            for database in (made.database, made.keyring):
                try:
                    await client.drop_database(database)
                except AutoReconnect:  # nobody turned the loop for so long that the driver had given the server up
                    await client.drop_database(database)
