"""The keys of subjects: what a key management service is to a cloud, kept in a small database of its own.

`keys` holds one document per subject, `{_id: subject, key: wrapped, wrapped_by: name}`, and after an erasure the
tombstone `{_id: subject, key: None}`, so that no late write can make a new key for a person who is gone.
`secrets` holds the key of blind indexes, `vault` the data key that wraps all others; the data key itself is wrapped by
the master key of a provider (AWS, Azure, Google, KMIP, or a local key in development).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from abc import ABC, abstractmethod
from base64 import urlsafe_b64encode
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bson.binary import Binary
from bson.codec_options import CodecOptions
from pymongo import ReadPreference, WriteConcern
from pymongo.asynchronous.encryption import AsyncClientEncryption
from pymongo.encryption import Algorithm  # type: ignore[attr-defined]  # re-exported by a star
from pymongo.errors import DuplicateKeyError, EncryptionError, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from pymongo import AsyncMongoClient
    from pymongo.asynchronous.collection import AsyncCollection

_KEY_BYTES = 32
_BLIND_BYTES = 16  # 128 bits of the HMAC: no collisions to be expected in any register of people
_DATA_KEY = "subjects"
_BLIND = "blind"
UNAUTHORIZED = 13  # MongoDB's error code
_LONGEST_CACHE = 60.0


class SubjectErased(Exception):
    """The subject's key was destroyed; nothing can be sealed for it any more."""


class KeyringUnavailable(Exception):
    """The keyring, or the provider of its master key, cannot be reached: try again, and never read it as "erased"."""

    loggable = True


class SubjectKeys(ABC):
    """What the rest of the chassis sees of a keyring: keys by subject behind a bounded, short-lived cache."""

    def __init__(
        self,
        *,
        database: str = "keyring",
        cache_seconds: float = _LONGEST_CACHE,
        cache_size: int = 50_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0 <= cache_seconds <= _LONGEST_CACHE:
            raise ValueError("a key may be cached for 60 s at most: that is how soon an erasure takes effect")
        self.database = database
        """The name of the keyring's database."""
        self._cache_seconds = cache_seconds
        self._cache_size = cache_size
        self._clock = clock
        self._cache: OrderedDict[str, tuple[float, bytes | None]] = OrderedDict()
        self._forgotten = 0
        self._blind: bytes | None = None

    async def key(self, subject: str) -> bytes | None:
        """The subject's key, or None when it was erased or never had one."""
        return (await self.keys((subject,)))[subject]

    async def keys(self, subjects: Collection[str]) -> dict[str, bytes | None]:
        """The keys of many subjects by one query; raises `KeyringUnavailable`."""
        known = await self._known(subjects)
        return {subject: known.get(subject) for subject in subjects}

    async def fresh(self, subject: str) -> tuple[bytes, dict[str, Any] | None]:
        """The key to seal with, and the document to insert into `keys` in the caller's transaction.

        The document is None when the subject already has its key. Two writers that make a key for one subject at the
        same time collide on `_id`: the loser is run again and finds the winner's key. Raises `SubjectErased`.
        """
        return (await self.fresh_all([subject]))[subject]

    async def fresh_all(self, subjects: Collection[str]) -> dict[str, tuple[bytes, dict[str, Any] | None]]:
        """`fresh` for many subjects by one query. Raises `SubjectErased` where one of them was erased."""
        made: dict[str, tuple[bytes, dict[str, Any] | None]] = {}
        known = await self._known(subjects)
        for subject in dict.fromkeys(subjects):
            if subject not in known:
                new = os.urandom(_KEY_BYTES)
                made[subject] = new, {"_id": subject, "key": await self._wrap(new), "wrapped_by": _DATA_KEY}
            elif (key := known[subject]) is not None:
                made[subject] = key, None
            else:
                raise SubjectErased("the subject was erased")
        return made

    def remember(self, subject: str, key: bytes | None) -> None:
        """Cache a key whose document has been committed; None for a subject known to be erased."""
        self._cache[subject] = (self._clock() + self._cache_seconds, key)
        self._cache.move_to_end(subject)
        if len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)

    def forget(self, subject: str) -> None:
        """Drop the subject's key from the cache: called when its erasure becomes known."""
        self._forgotten += 1
        self._cache.pop(subject, None)

    @staticmethod
    def tombstone(subject: str) -> dict[str, Any]:
        """The document that replaces (or precedes) the subject's key, upserted in the caller's transaction."""
        return {"_id": subject, "key": None}

    async def blind_key(self) -> bytes:
        """The deployment's key for blind indexes; raises `KeyringUnavailable` while there is none."""
        if self._blind is None:
            self._blind = await self._secret(_BLIND)
        return self._blind

    def blind(self, text: str) -> str:
        """A keyed hash of `text` for exact matches on personal data: 128 bits of HMAC-SHA256 as base64url.

        Needs `open` or `blind_key` before it, so that it can be called where nothing may be awaited.
        """
        if self._blind is None:
            raise KeyringUnavailable("the keyring is not open")
        digest = hmac.digest(self._blind, text.encode(), hashlib.sha256)
        return urlsafe_b64encode(digest[:_BLIND_BYTES]).rstrip(b"=").decode()

    async def _known(self, subjects: Collection[str]) -> dict[str, bytes | None]:
        """Keys, and None for the erased; a subject that never had a document is not among them."""
        known = {subject: entry[0] for subject in subjects if (entry := self._cached(subject)) is not None}
        missing = [subject for subject in dict.fromkeys(subjects) if subject not in known]
        if missing:
            forgotten = self._forgotten
            for subject, document in (await self._stored(missing)).items():
                key = None if document["key"] is None else await self._unwrap(document["key"])
                known[subject] = key
                # What was read before an erasure became known here must not outlive it in the cache.
                if forgotten == self._forgotten:
                    self.remember(subject, key)
        return known

    def _cached(self, subject: str) -> tuple[bytes | None] | None:
        """A one-tuple with the key (None: erased), or None when the cache does not know."""
        entry = self._cache.get(subject)
        if entry is None:
            return None
        expires, key = entry
        if self._clock() >= expires:
            del self._cache[subject]
            return None
        self._cache.move_to_end(subject)
        return (key,)

    @abstractmethod
    async def open(self) -> None:
        """Make the keyring ready; any number of processes may do so at once, and as often as they like."""

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    async def _stored(self, subjects: Collection[str]) -> Mapping[str, Mapping[str, Any]]: ...

    @abstractmethod
    async def _wrap(self, key: bytes) -> bytes: ...

    @abstractmethod
    async def _unwrap(self, wrapped: bytes) -> bytes: ...

    @abstractmethod
    async def _secret(self, name: str) -> bytes: ...


class Keyring(SubjectKeys):
    """The keyring in MongoDB, wrapped through PyMongo's client encryption.

    `kms_providers` and `master_key_spec` are what `AsyncClientEncryption` and its `create_data_key` take; the first
    provider named wraps a new deployment's data key. A service that may only read `keyring` opens it all the same: what
    is missing there is made by the service that owns the subjects.
    """

    def __init__(
        self,
        client: AsyncMongoClient[dict[str, Any]],
        database: str = "keyring",
        *,
        kms_providers: Mapping[str, Any],
        master_key_spec: Mapping[str, Any] | None = None,
        cache_seconds: float = _LONGEST_CACHE,
        cache_size: int = 50_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(database=database, cache_seconds=cache_seconds, cache_size=cache_size, clock=clock)
        self._provider = next(iter(kms_providers))
        self._master_key_spec = master_key_spec
        # Keys are read where they are written; a secondary that lags would make a living subject look erased.
        opened = client[database].with_options(
            read_preference=ReadPreference.PRIMARY, write_concern=WriteConcern("majority", j=True)
        )
        self._vault = opened["vault"]
        self._secrets = opened["secrets"]
        self.collection: AsyncCollection[dict[str, Any]] = opened["keys"]
        """Where the caller inserts the document of `fresh` and upserts the one of `tombstone`."""
        self._encryption: AsyncClientEncryption[dict[str, Any]] = AsyncClientEncryption(
            kms_providers, f"{database}.vault", client, CodecOptions()
        )

    async def open(self) -> None:
        with _unavailable():
            try:
                await self._ensure_data_key()
                if await self._secrets.find_one({"_id": _BLIND}) is None:
                    await self._insert_secret(_BLIND)
            except OperationFailure as error:
                if error.code != UNAUTHORIZED:
                    raise
                return  # a reader, ahead of the service that owns the keyring
        await self.blind_key()

    async def close(self) -> None:
        await self._encryption.close()

    async def rewrap(self, provider: str, master_key_spec: Mapping[str, Any] | None = None) -> int:
        """Wrap the vault's data keys by another master key; the keys of subjects stay as they are.

        The old and the new provider must both be among `kms_providers`. Returns how many data keys were rewrapped.
        """
        with _unavailable():
            result = await self._encryption.rewrap_many_data_key({}, provider=provider, master_key=master_key_spec)
        return result.bulk_write_result.modified_count if result.bulk_write_result else 0

    async def _ensure_data_key(self) -> None:
        if await self._vault.find_one({"keyAltNames": _DATA_KEY}) is not None:
            return
        # The unique index is what lets exactly one of several processes make the data key.
        await self._vault.create_index(
            "keyAltNames", unique=True, partialFilterExpression={"keyAltNames": {"$exists": True}}
        )
        try:
            await self._encryption.create_data_key(
                self._provider, master_key=self._master_key_spec, key_alt_names=[_DATA_KEY]
            )
        except EncryptionError as error:
            if not isinstance(error.cause, DuplicateKeyError):
                raise

    async def _insert_secret(self, name: str) -> None:
        wrapped = await self._wrap(os.urandom(_KEY_BYTES))
        try:
            await self._secrets.insert_one({"_id": name, "key": wrapped, "wrapped_by": _DATA_KEY})
        except DuplicateKeyError:
            return  # another process was first; its key is the one

    async def _stored(self, subjects: Collection[str]) -> dict[str, Mapping[str, Any]]:
        with _unavailable():
            stored = await self._read(subjects, ReadConcern("local"))
            missing = [subject for subject in subjects if subject not in stored]
            if missing:
                # A primary that was replaced without noticing does not know the newest keys: absence is believed only
                # from one that proves it is still the primary.
                stored |= await self._read(missing, ReadConcern("linearizable"))
        return stored

    async def _read(self, subjects: Collection[str], concern: ReadConcern) -> dict[str, Mapping[str, Any]]:
        cursor = self.collection.with_options(read_concern=concern).find(
            {"_id": {"$in": list(subjects)}}, max_time_ms=10_000
        )
        return {document["_id"]: document async for document in cursor}

    async def _wrap(self, key: bytes) -> bytes:
        with _unavailable():
            return await self._encryption.encrypt(
                Binary(key), Algorithm.AEAD_AES_256_CBC_HMAC_SHA_512_Random, key_alt_name=_DATA_KEY
            )

    async def _unwrap(self, wrapped: bytes) -> bytes:
        with _unavailable():
            return bytes(await self._encryption.decrypt(wrapped))  # type: ignore[arg-type]

    async def _secret(self, name: str) -> bytes:
        with _unavailable():
            document = await self._secrets.find_one({"_id": name})
        if document is None:
            raise KeyringUnavailable("the service that owns the keyring has not opened it yet")
        return await self._unwrap(document["key"])


class MemoryKeyring(SubjectKeys):
    """The same keyring over a dictionary, for tests that need no server. Keys are not wrapped."""

    def __init__(
        self,
        *,
        cache_seconds: float = _LONGEST_CACHE,
        cache_size: int = 50_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(cache_seconds=cache_seconds, cache_size=cache_size, clock=clock)
        self.documents: dict[str, dict[str, Any]] = {}
        self._blind = os.urandom(_KEY_BYTES)  # ready without `open`, which a unit test would only repeat

    async def open(self) -> None:
        """Nothing to make ready."""

    async def close(self) -> None:
        """Nothing to release."""

    async def _stored(self, subjects: Collection[str]) -> dict[str, dict[str, Any]]:
        return {subject: self.documents[subject] for subject in subjects if subject in self.documents}

    async def _wrap(self, key: bytes) -> bytes:
        return key

    async def _unwrap(self, wrapped: bytes) -> bytes:
        return wrapped

    async def _secret(self, name: str) -> bytes:
        raise KeyringUnavailable(f"no secret {name!r}")


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except PyMongoError as error:
        raise KeyringUnavailable(f"the keyring cannot be read: {type(error).__name__}") from error
