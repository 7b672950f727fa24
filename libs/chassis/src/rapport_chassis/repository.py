"""Repositories: the documents of one collection as objects of the domain, one object a document within a unit of work."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar, overload

from pydantic import TypeAdapter
from rapport_ports import OutOfReach

from rapport_chassis.documents import matches
from rapport_chassis.sealing import ERASED, seal
from rapport_chassis.write_set import Write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rapport_chassis.access import Principal
    from rapport_chassis.documents import Document
    from rapport_chassis.unit_of_work import UnitOfWork


class Aggregate(Protocol):
    """What a repository keeps: a dataclass of the domain with an id and the version it was read with (0: new)."""

    id: str
    version: int


T = TypeVar("T", bound=Aggregate)


class repository(Generic[T]):  # noqa: N801 - reads as a declaration: `stakeholders = repository("stakeholders", ...)`
    """Declares a repository on a unit of work.

    `sealed` names the fields that hold a person's words or address: clear text in the domain object, sealed under
    the key of the subject named by `subject` in the document, "erased" once that key is gone.

    `reach` is the rule of who reaches which of them: from who asks to what a document must fit (a `where`). What does
    not is not there: it is neither given, nor listed, nor counted, nor opened, and no version of it is held against the
    request's, so nothing tells it from what does not exist. Nor is it written. Where the service acts on its own
    account, on what it consumes and for its clocks, everything is within reach.
    """

    def __init__(
        self,
        collection: str,
        kind: type[T],
        *,
        sealed: tuple[str, ...] = (),
        subject: str = "id",
        reach: Callable[[Principal], Mapping[str, Any]] | None = None,
    ) -> None:
        self.collection = collection
        self.kind = kind
        self.sealed = sealed
        self.subject = subject
        self.reach = reach

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, unit: None, owner: type) -> Self: ...

    @overload
    def __get__(self, unit: UnitOfWork, owner: type) -> Repository[T]: ...

    def __get__(self, unit: UnitOfWork | None, owner: type) -> Self | Repository[T]:
        if unit is None:
            return self
        found: Repository[T] | None = unit.repositories.get(self.name)
        if found is None:
            found = unit.repositories[self.name] = Repository(unit, self)
        return found


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


class Repository(Generic[T]):
    """The documents of one collection as objects of the domain, within one unit of work."""

    def __init__(self, unit: UnitOfWork, declared: repository[T]) -> None:
        self._unit = unit
        self._declared = declared
        self._adapter: TypeAdapter[T] = _adapter(declared.kind)
        caller = unit.circumstances.caller
        self._reach = _stored(declared.reach(caller)) if declared.reach and caller is not None else {}
        self._loaded: dict[str, T] = {}
        self._changed: dict[str, T] = {}
        self._removed: dict[str, T] = {}

    async def get(self, id_: str) -> T | None:
        """The object, or None. Raises PreconditionFailed where the request named another version (If-Match)."""
        if id_ in self._removed:
            return None
        if id_ in self._loaded:
            return self._loaded[id_] if self._reaches(self._loaded[id_]) else None
        document = await self._unit.documents.get(self._declared.collection, id_)
        if document is None or not matches(document, self._reach):
            return None
        self._unit.check_expected(id_, document["version"])
        return (await self._objects([document]))[0]

    async def find(
        self,
        where: Mapping[str, Any],
        *,
        sort: str = "id",
        descending: bool = False,
        after: Sequence[Any] | None = None,
        limit: int | None = None,
        whole: bool = False,
    ) -> list[T]:
        """Stored objects that fit `where`; an object changed in this unit is given as changed, its place is not.

        `whole`: those beyond reach as well, for what is not shown.
        """
        documents = await self._unit.documents.find(
            self._declared.collection,
            _stored(where),
            sort=_stored_name(sort),
            descending=descending,
            after=after,
            limit=limit,
            within={} if whole else self._reach,
        )
        return [found for found in await self._objects(documents) if found.id not in self._removed]

    async def count(self, where: Mapping[str, Any], *, whole: bool = False) -> int:
        """How many stored documents fit `where`, with `whole` beyond reach as well; changes of this unit do not count."""
        within = {} if whole else self._reach
        return await self._unit.documents.count(self._declared.collection, _stored(where), within=within)

    def add(self, found: T) -> None:
        """A new object; that its id is taken shows at the commit, as a Conflict. Raises OutOfReach."""
        self._check_reach(found)
        self._loaded[found.id] = self._changed[found.id] = found

    def save(self, found: T) -> None:
        """Write the object, provided that the stored version still is the one it was read with. Raises OutOfReach."""
        self._check_reach(found)
        self._changed[found.id] = found

    def remove(self, found: T) -> None:
        self._loaded.pop(found.id, None)
        self._changed.pop(found.id, None)
        self._removed[found.id] = found

    def _reaches(self, found: T) -> bool:
        return not self._reach or matches(self._plain(found), self._reach)

    def _check_reach(self, found: T) -> None:
        if not self._reaches(found):
            document = self._plain(found)
            beyond = [name for name, wanted in self._reach.items() if not matches(document, {name: wanted})]
            raise OutOfReach(f"this would be out of your token's reach, by its {' and '.join(beyond)}")

    def _plain(self, found: T) -> Document:
        document: Document = self._adapter.dump_python(found, mode="json")
        document["_id"] = document.pop("id")
        return document

    async def _objects(self, documents: Sequence[Document]) -> list[T]:
        await self._unit.learn_keys(
            [
                d[_stored_name(self._declared.subject)]
                for d in documents
                if any(d.get(name) is not None for name in self._declared.sealed)
            ],
        )
        return [self._object(document) for document in documents]

    def _object(self, document: Document) -> T:
        id_: str = document["_id"]
        if id_ in self._loaded:
            return self._loaded[id_]
        values = {**document, "id": id_}
        self._unit.positions[id_] = max(values.pop("pos", 0), self._unit.positions.get(id_, 0))
        del values["_id"]
        for path in self._declared.sealed:
            if values.get(path) is not None:
                owner = f"{self._declared.collection}/{id_}"
                values[path] = self._unit.opened(values[self._declared.subject], values[path], owner, path)
        found = self._adapter.validate_python(values)
        self._loaded[id_] = found
        return found

    def subjects(self) -> set[str]:
        """The subjects whose keys are needed to write what was changed."""
        names = self._declared.sealed
        return {
            str(getattr(found, self._declared.subject))
            for found in self._changed.values()
            if any(getattr(found, name) not in (None, ERASED) for name in names)
        }

    def ids(self) -> set[str]:
        return set(self._changed)

    def writes(self, positions: Mapping[str, int]) -> list[Write]:
        """The documents to write. Raises OutOfReach. From here on the objects carry the version that will be stored."""
        collection = self._declared.collection
        writes = []
        for id_, found in self._changed.items():
            self._check_reach(found)  # as it is to be stored, whatever was done to it since
            expected = found.version
            found.version += 1
            writes.append(Write(collection, id_, self._document(found, positions.get(id_)), expected))
        writes.extend(
            Write(collection, id_, None, found.version) for id_, found in self._removed.items() if found.version
        )
        return writes

    def advance(self) -> None:
        """After the commit nothing waits to be written."""
        self._changed.clear()
        self._removed.clear()

    def follow(self, before: Repository[T]) -> None:
        """Take over the objects of a unit that was committed (see `UnitOfWork.follow`); none of them may be sealed."""
        self._loaded = before._loaded

    def mark(self) -> tuple[Any, ...]:
        return dict(self._loaded), dict(self._changed), dict(self._removed)

    def back_to(self, mark: tuple[Any, ...]) -> None:
        self._loaded, self._changed, self._removed = (dict(part) for part in mark)

    def _document(self, found: T, position: int | None) -> Document:
        document = self._plain(found)
        known = position if position is not None else self._unit.positions.get(found.id)
        if known:
            document["pos"] = known
        for path in self._declared.sealed:
            if document[path] not in (None, ERASED):
                subject = str(getattr(found, self._declared.subject))
                owner = f"{self._declared.collection}/{found.id}"
                document[path] = seal(
                    self._unit.known_keys[subject], document[path], subject=subject, owner=owner, path=path
                )
        return document


def _stored_name(name: str) -> str:
    return "_id" if name == "id" else name


def _stored(where: Mapping[str, Any]) -> dict[str, Any]:
    return {_stored_name(name): condition for name, condition in where.items()}
