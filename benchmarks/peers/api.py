"""The API as commonly taught: FastAPI, pydantic, and a transaction per request with the document and its outbox row.

`/responses` follows PyMongo's manual: a session, `async with await session.start_transaction()`, two inserts, majority
and journalled. `/bare` is the same without any database. Both validate the same body by the same constraints, and run
on uvicorn with uvloop and httptools. Neither looks at a token, repeats an answer for an Idempotency-Key, checks the
codes against the instrument, bounds the body, traces or measures anything.

`PEER_MONGO=mongodb://… python -m benchmarks.peers.api --port 8000 --database peer`
"""

import argparse
import json
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pymongo import ASCENDING, AsyncMongoClient
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

TOPIC = "peer.response"
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*$", max_length=64)]


class Submission(BaseModel):
    """The same body, the same constraints."""

    model_config = ConfigDict(extra="forbid")

    answers: dict[Code, Code] = Field(min_length=1, max_length=200)
    groups: list[Code] = Field(default=[], max_length=50)
    region: Code | None = None
    weight: Annotated[Decimal, Field(ge=Decimal("0.0001"), le=1000, decimal_places=4)] | None = None


class Receipt(BaseModel):
    response_id: str
    event: str
    wave_id: str
    day: date


def make_app(mongo_uri: str, database: str) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncMongoClient[dict[str, Any]](mongo_uri) as client:
            app.state.client = client
            names = await client[database].list_collection_names()
            for name in {"responses", "outbox"} - set(names):
                await client[database].create_collection(name)
            await client[database]["responses"].create_index("wave_id")
            await client[database]["outbox"].create_index(
                [("created_at", ASCENDING), ("_id", ASCENDING)], partialFilterExpression={"sent": False}
            )
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/waves/{wave_id}/responses", status_code=201)
    async def submit(wave_id: str, submission: Submission, request: Request) -> Receipt:
        client: AsyncMongoClient[dict[str, Any]] = request.app.state.client
        receipt = _receipt(wave_id)
        response = _document(receipt, submission)
        told = {name: value for name, value in response.items() if name != "_id"}
        row = {
            "_id": receipt.event,
            "topic": TOPIC,
            "key": receipt.response_id.encode(),
            "payload": json.dumps({**told, "response_id": receipt.response_id, "instrument_code": "tracker"}).encode(),
            "headers": [["ce_id", receipt.event.encode()], ["content-type", b"application/json"]],
            "created_at": datetime.now(UTC),
            "sent": False,
        }
        async with (
            client.start_session() as session,
            await session.start_transaction(
                read_concern=ReadConcern("snapshot"), write_concern=WriteConcern("majority", j=True)
            ),
        ):
            await client[database]["responses"].insert_one(response, session=session)
            await client[database]["outbox"].insert_one(row, session=session)
        return receipt

    @app.post("/bare/{wave_id}/responses", status_code=201)
    async def bare(wave_id: str, submission: Submission) -> Receipt:
        receipt = _receipt(wave_id)
        _document(receipt, submission)
        return receipt

    return app


def _receipt(wave_id: str) -> Receipt:
    return Receipt(
        response_id=str(uuid.uuid4()), event=str(uuid.uuid4()), wave_id=wave_id, day=datetime.now(UTC).date()
    )


def _document(receipt: Receipt, submission: Submission) -> dict[str, Any]:
    return {
        "_id": receipt.response_id,
        "wave_id": receipt.wave_id,
        "answers": submission.answers,
        "groups": submission.groups,
        "region": submission.region,
        "weight": int((submission.weight or 1) * 10_000),
        "day": receipt.day.isoformat(),
        "synthetic": True,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", required=True)
    options = parser.parse_args()
    uvicorn.run(
        make_app(os.environ["PEER_MONGO"], options.database),
        port=options.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
