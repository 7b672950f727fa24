"""One suite over memory and MongoDB: the small query language means the same in both."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase
from rapport_chassis.documents import Documents, MemoryDocuments, MongoDocuments

Store = Callable[[dict[str, Any]], Awaitable[None]]


@pytest.fixture(params=["memory", "mongodb"])
async def store(request: pytest.FixtureRequest, database: AsyncDatabase) -> AsyncIterator[tuple[Documents, Store]]:
    if request.param == "memory":
        memory = MemoryDocuments()

        async def keep(document: dict[str, Any]) -> None:
            memory.collections.setdefault("things", {})[document["_id"]] = document

        yield memory, keep
        return

    async def insert(document: dict[str, Any]) -> None:
        await database["things"].insert_one(document)

    yield MongoDocuments(database), insert


@pytest.fixture
async def documents(store: tuple[Documents, Store]) -> Documents:
    found, keep = store
    for document in (
        {"_id": "a", "n": 3, "region": "wales", "tags": ["x", "y"], "in": {"deep": 1}, "day": "2026-01-01"},
        {"_id": "b", "n": 1, "region": "london", "tags": ["y"], "in": {"deep": 2}, "day": "2026-01-02"},
        {"_id": "c", "n": 2, "region": "wales", "tags": [], "in": {}, "day": None},
        {"_id": "d", "n": 2, "region": None, "tags": None},
    ):
        await keep(document)
    return found


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, "abcd"),
        ({"region": "wales"}, "ac"),
        ({"region": None}, "d"),
        ({"tags": "y"}, "ab"),
        ({"in.deep": 2}, "b"),
        ({"n": {"gte": 2}}, "acd"),
        ({"n": {"gt": 1, "lt": 3}}, "cd"),
        ({"day": {"lte": "2026-01-01"}}, "a"),
        ({"region": {"in": ["london", "wales"]}}, "abc"),
        ({"region": {"prefix": "wa"}}, "ac"),
        ({"region": {"prefix": "WA"}}, ""),
        ({"tags": {"prefix": "x"}}, "a"),
        ({"region": "wales", "n": {"lt": 3}}, "c"),
        ({"absent": None}, "abcd"),
        ({"_id": {"in": ["a", "z"]}}, "a"),
    ],
)
async def test_where(documents: Documents, where: dict[str, Any], expected: str) -> None:
    assert "".join(d["_id"] for d in await documents.find("things", where)) == expected
    assert await documents.count("things", where) == len(expected)


@pytest.mark.parametrize(
    ("where", "within", "expected"),
    [
        ({"n": {"gte": 2}}, {"region": "wales"}, "ac"),
        ({"region": "london"}, {"region": "wales"}, ""),
        ({"region": {"in": ["london", "wales"]}}, {"region": "london"}, "b"),
        ({}, {"tags": {"in": [None, "x"]}}, "ad"),
    ],
)
async def test_what_is_within_reach_is_not_widened_by_what_is_asked_for(
    documents: Documents, where: dict[str, Any], within: dict[str, Any], expected: str
) -> None:
    assert "".join(d["_id"] for d in await documents.find("things", where, within=within)) == expected
    assert await documents.count("things", where, within=within) == len(expected)


@pytest.mark.parametrize("bad", [{"ne": 1}, {"$ne": 1}, {"regex": ".*"}, {"gt": 1, "$where": "1"}, {}])
async def test_no_other_operator_exists(documents: Documents, bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="unknown operator"):
        await documents.find("things", {"n": bad})


async def test_pages_follow_one_another_without_loss(documents: Documents) -> None:
    first = await documents.find("things", {}, sort="n", limit=2)
    assert [d["_id"] for d in first] == ["b", "c"]
    second = await documents.find("things", {}, sort="n", after=(2, "c"))
    assert [d["_id"] for d in second] == ["d", "a"]
    down = await documents.find("things", {}, sort="n", descending=True, after=(2, "d"))
    assert [d["_id"] for d in down] == ["c", "b"]
    assert [d["_id"] for d in await documents.find("things", {}, after=("b",))] == ["c", "d"]


async def test_a_document_read_is_a_copy(documents: Documents) -> None:
    found = await documents.get("things", "a")
    assert found is not None
    found["n"] = 99
    again = await documents.get("things", "a")
    assert again is not None
    assert again["n"] == 3
    assert await documents.get("things", "nowhere") is None
