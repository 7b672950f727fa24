"""Looks for words where they must not lie in clear: in every database, on every topic, in every file that was written."""

import base64
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import httpx
from bson import encode
from pymongo import AsyncMongoClient
from rapport_stack.mongo_users import INTERNAL, KEY, uri_as

from tests.integration.rapport import Rapport

Place = tuple[str, bytes]
"""Where something lies, and what lies there."""

MARK = "qzvxjkwq"
"""What most planted words begin with: one look for it tells that none of them lies in a place, however many they are."""


def found(places: Iterable[Place], words: Iterable[str]) -> list[str]:
    """ "place: word" of every word that lies somewhere: as it is, in other letters, in base64, or in hexadecimal digits."""
    guises = {word: disguised(word) for word in words}
    marked = {word: forms for word, forms in guises.items() if word.startswith(MARK)}
    others = {word: forms for word, forms in guises.items() if word not in marked}
    mark = disguised(MARK)
    hits = set()
    for place, raw in places:
        lowered = raw.lower()
        looked_for = guises if any(form in lowered for form in mark) else others
        hits |= {f"{place}: {word}" for word, forms in looked_for.items() if any(form in lowered for form in forms)}
    return sorted(hits)


def disguised(word: str) -> tuple[bytes, ...]:
    """What to look for, in small letters. Base64 has three forms, by where the word begins among three bytes."""
    raw = word.encode()
    forms = {raw.lower(), raw.hex().encode()}
    for before in range(3):
        digits = base64.b64encode(bytes(before) + raw)
        whole = digits[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]  # only digits that are all the word's
        forms |= {whole.lower(), whole.translate(bytes.maketrans(b"+/", b"-_")).lower()}
    return tuple(forms)


async def found_in_clear(rapport: Rapport, words: Iterable[str], *, but: Iterable[str] = ()) -> list[str]:
    """Where any of these words lies in a running platform; `but`: places that may hold them.

    Looked at is whatever the platform has written down, the journal of the store and its log too, and all that it says
    of itself. Not the development inbox: it is the world outside, where messages are read.
    """
    places = [each for source in (_stored, _told, _shown) async for each in source(rapport)]
    return found([*(place for place in places if place[0] not in set(but)), *_written(rapport)], words)


async def _stored(rapport: Rapport) -> AsyncIterator[Place]:
    # As the replica set itself: some of what servers keep for themselves is not even an administrator's to read.
    stack = rapport.platform.stack
    uri = uri_as(stack.mongo.uri, INTERNAL, stack.credentials.password(KEY))
    async with AsyncMongoClient[dict[str, Any]](f"{uri}&authSource=local") as mongo:
        for database in await mongo.list_database_names():
            for name in await mongo[database].list_collection_names(filter={"type": "collection"}):
                async for document in mongo[database][name].find({}):
                    yield f"{database}.{name}", encode(document)


async def _told(rapport: Rapport) -> AsyncIterator[Place]:
    for (topic, _), records in (await rapport.records()).items():
        for record in records:
            yield f"topic {topic}", b"\n".join((record.key or b"", record.value or b""))
            for name, value in record.headers:
                yield f"topic {topic}, headers", name.encode() + b": " + value


async def _shown(rapport: Rapport) -> AsyncIterator[Place]:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
        for process in rapport.platform.kept:
            for path in ("/metrics", "/status", "/readyz"):
                yield f"{process.name}{path}", (await http.get(f"{process.private}{path}")).content


def _written(rapport: Rapport) -> Iterator[Place]:
    folder = rapport.platform.folder
    for file in (*folder.logs.rglob("*"), *(folder.workbench / "spans").rglob("*"), *folder.data.rglob("*.log*")):
        if file.is_file():
            yield f"file {file.relative_to(folder.path)}", file.read_bytes()
