"""Looks for words where they must not lie in clear: in every database, on every topic, in every file that was written."""

import base64
from collections.abc import AsyncIterator, Iterable, Iterator

import httpx
from bson import encode

from tests.integration.rapport import Rapport

Place = tuple[str, bytes]
"""Where something lies, and what lies there."""


def found(places: Iterable[Place], words: Iterable[str]) -> list[str]:
    """ "place: word" of every word that lies somewhere: as it is, in other letters, in base64, or in hexadecimal digits."""
    guises = {word: disguised(word) for word in words}
    hits = set()
    for place, raw in places:
        lowered = raw.lower()
        hits |= {f"{place}: {word}" for word, forms in guises.items() if any(form in lowered for form in forms)}
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
    for database in await rapport.mongo.list_database_names():
        for name in await rapport.mongo[database].list_collection_names(filter={"type": "collection"}):
            async for document in rapport.mongo[database][name].find({}):
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
