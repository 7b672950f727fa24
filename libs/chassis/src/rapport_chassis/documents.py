"""Reading documents: the same small query language over MongoDB and over memory.

A `where` is a mapping of (dotted) field to a value (equality; for an array: contains) or to one operator:
`{"in": [...]}`, `{"gte": v}`, `{"gt": v}`, `{"lte": v}`, `{"lt": v}` (several bounds may be combined) and
`{"prefix": "text"}`. Nothing else exists, so nothing a client sends can become an operator of the database.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from pymongo.read_concern import ReadConcern

from rapport_chassis.gathered import GatheredReads
from rapport_chassis.generation import Generation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from pymongo.asynchronous.database import AsyncDatabase

Document = dict[str, Any]
Where = "Mapping[str, Any]"

BOUNDS = ("gte", "gt", "lte", "lt")


@dataclass(frozen=True, slots=True)
class Index:
    """An index a service needs: `Index("stakeholders", ("region", "_id"))`; `-field` sorts downwards.

    `partial` holds only documents with these values; `expire_after` (seconds) makes MongoDB remove a document that
    long after the date in the field.
    """

    collection: str
    fields: tuple[str, ...]
    unique: bool = False
    partial: Mapping[str, Any] | None = None
    expire_after: int | None = None


def midnight_after(moment: datetime) -> datetime:
    """The midnight behind a moment: an expiry that does not tell the time of what it belongs to."""
    return (moment + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


class Documents(Protocol):
    """What a unit of work reads from. Every call raises `pymongo.errors.PyMongoError` where the store is away."""

    generation: Generation

    async def get(self, collection: str, id_: str) -> Document | None: ...

    async def find(
        self,
        collection: str,
        where: Mapping[str, Any],
        *,
        sort: str = "_id",
        descending: bool = False,
        after: Sequence[Any] | None = None,
        limit: int | None = None,
        within: Mapping[str, Any] | None = None,
    ) -> list[Document]:
        """Documents that fit `where` and `within`, in the order of (`sort`, `_id`), those behind the pair `after`."""
        ...

    async def count(self, collection: str, where: Mapping[str, Any], *, within: Mapping[str, Any] | None = None) -> int:
        """How many fit `where` and `within`."""
        ...


class MongoDocuments:
    """Documents of one MongoDB database, read with the majority so that nothing seen can be rolled back."""

    def __init__(self, database: AsyncDatabase[Document], generation: Generation | None = None) -> None:
        self.generation = generation or Generation()
        self._database = database.with_options(read_concern=ReadConcern("majority"))
        self._gathered = GatheredReads(self._database)

    def of(self, generation: Generation) -> MongoDocuments:
        """The same database in another generation."""
        return MongoDocuments(self._database, generation)

    async def get(self, collection: str, id_: str) -> Document | None:
        return await self._gathered.get(self.generation.name(collection), id_)

    async def find(
        self,
        collection: str,
        where: Mapping[str, Any],
        *,
        sort: str = "_id",
        descending: bool = False,
        after: Sequence[Any] | None = None,
        limit: int | None = None,
        within: Mapping[str, Any] | None = None,
    ) -> list[Document]:
        direction = -1 if descending else 1
        query = _both(where, within)
        if after is not None:
            query = {"$and": [query, _behind(sort, after, "$lt" if descending else "$gt")]}
        order = [("_id", direction)] if sort == "_id" else [(sort, direction), ("_id", direction)]
        cursor = self._database[self.generation.name(collection)].find(query).sort(order)
        if limit is not None:
            cursor = cursor.limit(limit)
        return await cursor.to_list()

    async def count(self, collection: str, where: Mapping[str, Any], *, within: Mapping[str, Any] | None = None) -> int:
        return await self._database[self.generation.name(collection)].count_documents(_both(where, within))


class MemoryDocuments:
    """The same over memory, for tests of use cases; the suite in `tests/store` runs over both."""

    def __init__(self) -> None:
        self.generation = Generation()
        self.collections: dict[str, dict[str, Document]] = {}

    async def get(self, collection: str, id_: str) -> Document | None:
        return copy.deepcopy(self.collections.get(collection, {}).get(id_))

    async def find(
        self,
        collection: str,
        where: Mapping[str, Any],
        *,
        sort: str = "_id",
        descending: bool = False,
        after: Sequence[Any] | None = None,
        limit: int | None = None,
        within: Mapping[str, Any] | None = None,
    ) -> list[Document]:
        def order(document: Document) -> tuple[Any, ...]:
            value = field(document, sort)
            return (value is not None, value, document["_id"]) if sort != "_id" else (True, document["_id"])

        found = sorted(self._matching(collection, where, within), key=order, reverse=descending)
        if after is not None:
            mark = (after[0] is not None, *after) if sort != "_id" else (True, after[-1])
            found = [d for d in found if (order(d) < mark if descending else order(d) > mark)]
        return [copy.deepcopy(document) for document in found[:limit]]

    async def count(self, collection: str, where: Mapping[str, Any], *, within: Mapping[str, Any] | None = None) -> int:
        return len(self._matching(collection, where, within))

    def _matching(self, collection: str, where: Mapping[str, Any], within: Mapping[str, Any] | None) -> list[Document]:
        kept = self.collections.get(collection, {}).values()
        return [d for d in kept if matches(d, where) and matches(d, within or {})]


def mongo_filter(where: Mapping[str, Any]) -> Document:
    """The MongoDB filter of a `where`; a value can never bring an operator of its own."""
    return {name: _mongo_condition(condition) for name, condition in where.items()}


def _both(where: Mapping[str, Any], within: Mapping[str, Any] | None) -> Document:
    return {"$and": [mongo_filter(where), mongo_filter(within)]} if within else mongo_filter(where)


def _mongo_condition(condition: Any) -> Document:
    match condition:
        case {"in": values}:
            return {"$in": list(values)}
        case {"prefix": text}:
            return {"$gte": text, "$lt": text + "\U0010ffff"}
        case dict() if condition and all(name in BOUNDS for name in condition):
            return {f"${name}": bound for name, bound in condition.items()}
        case dict():
            msg = f"unknown operator in {sorted(condition)}"
            raise ValueError(msg)
        case _:
            return {"$eq": condition}


def _behind(sort: str, after: Sequence[Any], operator: str) -> Document:
    if sort == "_id":
        return {"_id": {operator: after[-1]}}
    value, id_ = after
    return {"$or": [{sort: {operator: value}}, {sort: value, "_id": {operator: id_}}]}


def matches(document: Document, where: Mapping[str, Any]) -> bool:
    """Whether a document fits a `where`, as MongoDB would decide."""
    return all(_fits(field(document, name), condition) for name, condition in where.items())


def field(document: Document, path: str) -> Any:
    """The value at a dotted path, None where it is absent."""
    value: Any = document
    for part in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def _fits(value: Any, condition: Any) -> bool:
    values: Iterable[Any] = [value, *value] if isinstance(value, list) else [value]
    match condition:
        case {"in": wanted}:
            return any(v in wanted for v in values)
        case {"prefix": text}:
            return any(isinstance(v, str) and v.startswith(text) for v in values)
        case dict() if condition and all(name in BOUNDS for name in condition):
            return any(v is not None and all(_within(v, n, b) for n, b in condition.items()) for v in values)
        case dict():
            msg = f"unknown operator in {sorted(condition)}"
            raise ValueError(msg)
        case _:
            return any(v == condition for v in values)


def _within(value: Any, name: str, bound: Any) -> bool:
    if type(value) is not type(bound) and not (isinstance(value, int | float) and isinstance(bound, int | float)):
        return False
    return bool(
        {"gte": value >= bound, "gt": value > bound, "lte": value <= bound, "lt": value < bound}[name],
    )
