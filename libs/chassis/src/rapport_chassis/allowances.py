"""How much one actor may ask for in a time: rate limits that all processes of a service agree on.

The generic cell rate algorithm (ITU-T I.371), one document per rule and actor in the service's own database, by MongoDB's
clock. It costs next to nothing where nobody asks for much: a process takes a hundredth of the limit at once and gives it
out by itself. In a time t, all processes together grant no more than limit * (1 + t / seconds): the limit at once, and
what time makes good. What a process took and did not give out within ten seconds it gives back when it asks again; only
what it holds when it dies, or when it forgets an actor for others, is lost.

An actor is kept as a keyed hash: who asked for how much is nobody's business. While MongoDB does not answer everybody is
let through: nothing is written then, and a limit must not be what keeps reads from an analyst.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import pymongo
import structlog
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError, PyMongoError

from rapport_chassis import metrics
from rapport_chassis.errors import TooManyRequests
from rapport_chassis.keyring import KeyringUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

log = structlog.get_logger(__name__)

ALLOWANCES = "allowances"
KEPT = 10_000
"""Actors that a process remembers."""
PORTION = 100
"""The part of a limit that a process takes at once."""
LEASE = 10.0
"""Seconds within which a process gives out what it took."""
PATIENCE = 1.0
"""Seconds for MongoDB to say."""
AGAIN = 1.0
"""Seconds for which a refusal is given without asking anew: whoever is refused is cheap. And for which nobody asks a
MongoDB that did not say: those who come at the same time would wait for it one after the other.
"""


@dataclass(frozen=True, slots=True)
class Rate:
    """`limit` in `seconds`, all at once where somebody wants; then as many as time has made good."""

    limit: int
    seconds: float

    @classmethod
    def of(cls, text: str) -> Self:
        """From "600/60", 600 a minute. Raises ValueError."""
        limit, _, seconds = text.partition("/")
        rate = cls(int(limit), float(seconds))
        if rate.limit < 1 or not 0 < rate.seconds < math.inf:
            raise ValueError(f"{text} is no rate: say for instance 600/60, which is 600 a minute")
        return rate


RULES: Mapping[str, Rate] = MappingProxyType(
    {
        "reads": Rate(60_000, 60),
        "writes": Rate(6_000, 60),
        "collecting": Rate(600_000, 60),
        "registering": Rate(50_000, 3_600),
        "subscribing": Rate(2_000, 3_600),
        "telling": Rate(500, 3_600),
        "bad-tokens": Rate(300, 60),
    }
)
"""What every service has, per actor; "telling" counts messages per address they go to, "bad-tokens" those refused per address they come from."""


@dataclass(slots=True)
class _Lease:
    """What this process may still give out of a rule to an actor."""

    left: int = 0
    until: float = 0.0
    refused: TooManyRequests | None = None
    refused_count: int = 0
    """Whoever asks for fewer may have them."""
    refused_until: float = 0.0
    unknown_until: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Allowances:
    """Of one service. `rates` replace those of `RULES`; `blind` hashes an actor. Raises ValueError for an unknown rule."""

    def __init__(
        self,
        collection: Any,
        blind: Callable[[str], Awaitable[str]],
        rates: Mapping[str, str] = MappingProxyType({}),
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        if unknown := rates.keys() - RULES.keys():
            raise ValueError(f"no such limit: {', '.join(sorted(unknown))}; there are {', '.join(RULES)}")
        self.rates = {**RULES, **{rule: Rate.of(text) for rule, text in rates.items()}}
        self._collection = collection
        self._blind = blind
        self._elapsed = elapsed
        self._leases: OrderedDict[tuple[str, str], _Lease] = OrderedDict()

    async def take(self, rule: str, actor: str, count: int = 1) -> None:
        """Raises TooManyRequests; then nothing was taken. More than the whole limit at once counts as the whole limit."""
        lease = self._lease(rule, actor)
        count = min(count, self.rates[rule].limit)
        try:
            if not self._given(lease, count):
                async with lease.turn:
                    if not self._given(lease, count):
                        await self._ask(lease, rule, actor, count)
        except TooManyRequests:
            metrics.REFUSED.labels(rule).inc()
            raise

    def _lease(self, rule: str, actor: str) -> _Lease:
        lease = self._leases.get((rule, actor))
        if lease is None:
            lease = self._leases[rule, actor] = _Lease()
            if len(self._leases) > KEPT:
                self._leases.popitem(last=False)
        self._leases.move_to_end((rule, actor))
        return lease

    def _given(self, lease: _Lease, count: int) -> bool:
        """Out of what is there. Raises TooManyRequests as long as asking anew is of no use."""
        if self._elapsed() < lease.unknown_until:
            return True
        if lease.left < count:
            if lease.refused and count >= lease.refused_count and self._elapsed() < lease.refused_until:
                raise lease.refused
            return False
        if self._elapsed() > lease.until:
            return False
        lease.left -= count
        return True

    async def _ask(self, lease: _Lease, rule: str, actor: str, count: int) -> None:
        rate = self.rates[rule]
        held, lease.left = lease.left, 0  # nobody takes of it while we wait
        back = held if self._elapsed() > lease.until else 0
        held -= back
        needed = count - held
        found = await self._moved(rule, actor, _granting(rate, back, needed, max(needed, rate.limit // PORTION)))
        if found is None:
            lease.left = held + back
            lease.unknown_until = self._elapsed() + AGAIN
            return
        lease.left = held
        lease.refused = None
        if found["granted"]:
            lease.left += int(found["granted"]) - count
            lease.until = self._elapsed() + LEASE
            return
        wait = (found["tat"] - found["now"]) / 1000 + needed * rate.seconds / rate.limit - rate.seconds
        lease.refused = TooManyRequests(rule, rate.limit, rate.seconds, max(1, math.ceil(wait)))
        lease.refused_count, lease.refused_until = count, self._elapsed() + min(AGAIN, wait)
        raise lease.refused

    async def _moved(self, rule: str, actor: str, update: list[dict[str, Any]]) -> Mapping[str, Any] | None:
        """The document afterwards, None where MongoDB does not say."""
        for last in (False, True):
            try:
                with pymongo.timeout(PATIENCE):
                    id_ = f"{rule}/{await self._blind(f'allowance {rule} {actor}')}"
                    found: Mapping[str, Any] = await self._collection.find_one_and_update(
                        {"_id": id_}, update, upsert=True, return_document=ReturnDocument.AFTER
                    )
            except DuplicateKeyError:  # another process was the first to ask, at the same time
                if last:
                    return None
            except (PyMongoError, KeyringUnavailable) as error:
                log.warning("limits are not known", error=type(error).__name__)
                return None
            else:
                return found
        return None


def _granting(rate: Rate, back: int, needed: int, wanted: int) -> list[dict[str, Any]]:
    """An update of the theoretical arrival time (`tat`, milliseconds): what comes `back` moves it towards now; then it moves
    on by as many of those `wanted` as there is room for, or not at all where there is none for those `needed`.
    """
    interval, tolerance = rate.seconds * 1000 / rate.limit, rate.seconds * 1000
    before = {"$subtract": [{"$ifNull": ["$tat", 0]}, back * interval]}
    room = {"$divide": [{"$subtract": [{"$add": ["$now", tolerance]}, "$from"]}, interval]}
    return [
        {"$set": {"now": {"$toDouble": {"$toLong": "$$NOW"}}}},
        {"$set": {"from": {"$max": [before, "$now"]}}},
        {"$set": {"room": {"$floor": {"$add": [room, 1e-6]}}}},
        {"$set": {"granted": {"$cond": [{"$gte": ["$room", needed]}, {"$min": [wanted, "$room"]}, 0]}}},
        {"$set": {"tat": {"$add": ["$from", {"$multiply": ["$granted", interval]}]}}},
        {"$set": {"expires_at": {"$toDate": {"$toLong": "$tat"}}}},
        {"$unset": ["from", "room"]},
    ]
