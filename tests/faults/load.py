"""Real requests over HTTP, a steady trickle of them, and a ledger of what was answered.

Most senders repeat a request with the same Idempotency-Key until it is acknowledged, as the API asks of them; some give
up at the first trouble, and some hang up in the middle. A stakeholder is registered, then amended again and again, so
that its events have an order that can be lost.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Self

import httpx

from tests.faults.ledger import Kind, Ledger, Promise
from tests.integration.acts import QUESTION, REGIONS
from tests.integration.rapport import Rapport, new_key

HANDS = 4
PAUSE = 0.4
"""Seconds between two requests of one hand: a trickle, so that recovery is measured and not the machine's limit."""
FICKLE = 0.15
"""Part of the senders that give up at the first trouble."""
HASTY = 0.03
"""Part of the senders that hang up in the middle of a request."""
DOUBTING = 0.03
"""Part of the answered requests that are sent once more, though there is no need."""
REPLAYED = "Idempotency-Replayed"
ROWS = 10
"""Responses in one import."""
PATIENCE = 90.0
"""Seconds after which a sender who repeats a request has lost patience: that alone is a failure."""
ANSWER_WITHIN = 25.0
"""Seconds for one attempt; the committer's own patience is shorter."""

AGAIN = frozenset({httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.REQUEST_TIMEOUT})
"""Answers that ask to be asked again. A sender who shares two cores with thirty servers can be too slow himself: 408."""

SECRET = "Quercus-Robur-7731"
"""In every name and comment: it must lie nowhere in clear."""


@dataclass(slots=True)
class Load:
    """`async with Load(...)`: requests flow; leaving waits until those that insist have been answered."""

    rapport: Rapport
    wave: str
    ledger: Ledger
    dice: random.Random
    own: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Stakeholders of this load: version and region as last acknowledged."""
    _ending: asyncio.Event = field(default_factory=asyncio.Event)
    _hands: list[asyncio.Task[None]] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._hands = [asyncio.create_task(self._work(), name=f"hand-{n}") for n in range(HANDS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ending.set()
        await asyncio.gather(*self._hands)

    async def probe(self) -> str:
        """One response more, for which the caller waits; the event that tells of it."""
        sender = await self._response()
        return self.ledger.promises[sender].aggregate

    async def _work(self) -> None:
        while not self._ending.is_set():
            match self.dice.random():
                case chance if chance < 0.70:
                    await self._response(fickle=self.dice.random() < FICKLE)
                case chance if chance < 0.78:
                    await self.bring_in()
                case chance if chance < 0.86 or not self.own:
                    await self._register(fickle=self.dice.random() < FICKLE)
                case _:
                    await self._amend()
            await asyncio.sleep(PAUSE * self.dice.uniform(0.2, 1.8))

    async def _response(self, *, fickle: bool = False) -> str:
        code = "yes" if self.dice.random() < 0.4 else "no"
        body = {"answers": {QUESTION: code}, "region": self.dice.choice(REGIONS)}
        if self.dice.random() < 0.1:
            body["comment"] = f"{SECRET} {new_key()}"
        sender = new_key()
        answered = await self._send(
            "feedback", "POST", f"/waves/{self.wave}/responses", body, sender, "response", fickle
        )
        if answered is not None:
            self.ledger.acknowledged(sender, Promise("response", answered.json()["event"], 0, code))
        return sender

    async def _register(self, *, fickle: bool) -> None:
        region = self.dice.choice(REGIONS)
        body = {
            "kind": "person",
            "name": f"{SECRET} {new_key()}",
            "category": "public",
            "region": region,
            "synthetic": True,
        }
        sender = new_key()
        answered = await self._send("registry", "POST", "/stakeholders", body, sender, "stakeholder", fickle)
        if answered is not None:
            id_, version = answered.json()["id"], _version(answered)
            self.ledger.acknowledged(sender, Promise("stakeholder", id_, version, region))
            self.own[id_] = version, region

    async def _amend(self) -> None:
        """Move somebody to another region; one hand at a time for each stakeholder."""
        id_ = self.dice.choice(sorted(self.own))
        version, before = self.own.pop(id_)
        region = self.dice.choice([each for each in REGIONS if each != before])
        sender = new_key()
        answered = await self._send(
            "registry",
            "PATCH",
            f"/stakeholders/{id_}",
            {"region": region},
            sender,
            "stakeholder",
            False,
            version=version,
        )
        if answered is not None:
            self.ledger.acknowledged(sender, Promise("stakeholder", id_, _version(answered), region))
            self.own[id_] = _version(answered), region

    async def bring_in(self, *, rows: int = ROWS, comment: str | None = None) -> None:
        """An import, a stream of rows with references: sent again until each line has been answered, the same row is the same one."""
        codes = {new_key(): "yes" if self.dice.random() < 0.4 else "no" for _ in range(rows)}
        senders = list(codes)
        said = {} if comment is None else {"comment": comment}
        content = "".join(
            json.dumps({"reference": r, "answers": {QUESTION: c}} | said) + "\n" for r, c in codes.items()
        )
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while not codes.keys() <= self.ledger.promises.keys():
            if asyncio.get_running_loop().time() > deadline:
                self.ledger.broken.append("an import was not acknowledged in time")
                for each in senders:
                    self.ledger.abandoned(each, "response")
                return
            try:
                async with self.rapport.http("feedback").stream(
                    "POST",
                    f"/waves/{self.wave}/responses/import",
                    content=content,
                    headers={"Content-Type": "application/x-ndjson"},
                    timeout=ANSWER_WITHIN,
                ) as answered:
                    if answered.status_code == httpx.codes.OK:
                        async for line in answered.aiter_lines():
                            self._note(line, senders, codes)
                    else:
                        self._note_refusal(answered, "import")
            except httpx.TransportError:
                await asyncio.sleep(0.1)
            else:
                await asyncio.sleep(0.02)

    def _note(self, line: str, senders: list[str], codes: dict[str, str]) -> None:
        try:
            found = json.loads(line)
        except ValueError:
            return  # the last line of a connection that broke
        if found["status"] in {"accepted", "duplicate"}:
            sender = senders[found["line"] - 1]
            self.ledger.acknowledged(sender, Promise("response", found["event"], 0, codes[sender]))
        elif found["problem"]["type"] != "urn:rapport:problem:unavailable":
            self.ledger.broken.append(f"import said {found['problem']['type']}")

    async def _send(
        self,
        service: str,
        method: str,
        path: str,
        body: dict[str, object],
        sender: str,
        kind: Kind,
        fickle: bool,  # noqa: FBT001 - private
        *,
        version: int | None = None,
    ) -> httpx.Response | None:
        """The answer that acknowledges it, None where the sender gave up."""
        headers = {"Idempotency-Key": sender} | ({"If-Match": f'"{version}"'} if version is not None else {})
        deadline = asyncio.get_running_loop().time() + PATIENCE
        self.ledger.abandoned(sender, kind)  # in doubt until it is answered, whatever ends this wait
        request = partial(
            self.rapport.http(service).request, method, path, json=body, headers=headers, timeout=ANSWER_WITHIN
        )
        while True:
            try:
                if fickle and self.dice.random() < HASTY / FICKLE:
                    answered = await asyncio.wait_for(request(), self.dice.uniform(0.001, 0.01))
                else:
                    answered = await request()
            except (httpx.TransportError, TimeoutError):
                answered = None
            if answered is not None and answered.is_success:
                if REPLAYED in answered.headers or self.dice.random() < DOUBTING:
                    await self._compare(request, answered)
                return answered
            if answered is not None and not self._note_refusal(answered, f"{method} {kind}"):
                return None
            if fickle:
                return None
            if asyncio.get_running_loop().time() > deadline:
                self.ledger.broken.append(f"{method} {kind} was not acknowledged within {PATIENCE:.0f} s")
                return None
            await asyncio.sleep(0.1)

    async def _compare(self, request: Callable[[], Awaitable[httpx.Response]], answered: httpx.Response) -> None:
        """Send what was answered once more: the answer must be the first one, and say so."""
        try:
            again = await request()
        except httpx.TransportError:
            return
        if again.is_success:
            self.ledger.replayed += REPLAYED in answered.headers
            if _told(again) != _told(answered) or REPLAYED not in again.headers:
                self.ledger.broken.append("a request that was repeated was answered in another way")

    def _note_refusal(self, answered: httpx.Response, what: str) -> bool:
        """Whether to try again. No other answer is one to a good request, whatever is broken behind it."""
        if answered.status_code in AGAIN:
            self.ledger.refused += 1
            return True
        self.ledger.broken.append(f"{what} was answered {answered.status_code}")
        return False


def _told(answered: httpx.Response) -> tuple[int, str | None, bytes]:
    return answered.status_code, answered.headers.get("ETag"), answered.content


def _version(answered: httpx.Response) -> int:
    return int(answered.headers["ETag"].strip('"'))
