"""From a route to a use case and back: `run` for what changes something, `query` for what reads, `each` for imports.

A route is three lines: parse, `await run(use_case, command, view=View.of)`, done. Here, and once, live the unit of
work, the commit, the second attempt after a lost race, the Idempotency-Key record in the same transaction and the
answer that is stored with it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

from fastapi import Depends, Request, Response
from pydantic import BaseModel, TypeAdapter

from rapport_chassis.access import Principal
from rapport_chassis.documents import midnight_after
from rapport_chassis.errors import Conflict, PreconditionFailed, TooManyRequests, Unavailable
from rapport_chassis.http.idempotency import IdempotencyReused, fingerprint, key_of
from rapport_chassis.http.preconditions import etag
from rapport_chassis.runtime import ATTEMPTS, IDEMPOTENCY
from rapport_chassis.unit_of_work import Circumstances, new_id
from rapport_chassis.write_set import ABSENT, Write

if TYPE_CHECKING:
    from rapport_chassis.runtime import Runtime
    from rapport_chassis.unit_of_work import UnitOfWork

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one command of many."""

    result: Any = None
    error: Exception | None = None


class Run(Protocol):
    """See `Runner.run`."""

    async def __call__(
        self,
        use_case: Callable[[Any, Any], Awaitable[Any]],
        command: Any,
        *,
        view: Callable[[Any], Any] | None = None,
        status: int | None = None,
        expect: Mapping[str, int] | None = None,
    ) -> Response: ...


class Query(Protocol):
    """See `Runner.query`."""

    async def __call__(
        self,
        use_case: Callable[[Any, Any], Awaitable[Any]],
        question: Any,
        *,
        view: Callable[[Any], Any] | None = None,
    ) -> Response: ...


class Each(Protocol):
    """See `Runner.each`."""

    async def __call__(
        self,
        use_case: Callable[[Any, Any], Awaitable[Any]],
        commands: Sequence[Any],
        *,
        rows: int | None = None,
    ) -> list[Outcome]: ...


ANYBODY = Principal("anonymous", frozenset())
"""Whoever asks at a public route."""


@dataclass(slots=True)
class Runner:
    """Runs use cases on behalf of one request. `principal` is None on public routes."""

    runtime: "Runtime"
    request: Request
    principal: Principal | None
    correlation: str = field(default_factory=new_id)

    async def run(
        self,
        use_case: Callable[[Any, Any], Awaitable[Any]],
        command: Any,
        *,
        view: Callable[[Any], Any] | None = None,
        status: int | None = None,
        expect: Mapping[str, int] | None = None,
    ) -> Response:
        """The use case, its commit and its answer.

        `expect` (document id -> version, from If-Match) makes a lost race the client's: 412. Without it the use case
        is run again. With an Idempotency-Key the answer is stored in the same transaction and given again to whoever
        repeats the request; the same key with another request is refused (422).
        """
        self._admit()
        return await self._in_time(self._run(use_case, command, view=view, status=status, expect=expect))

    async def _run(
        self,
        use_case: Callable[[Any, Any], Awaitable[Any]],
        command: Any,
        *,
        view: Callable[[Any], Any] | None,
        status: int | None,
        expect: Mapping[str, int] | None,
    ) -> Response:
        key = await self._idempotency_key()
        for attempt in range(ATTEMPTS):
            if key is not None and (stored := await self._stored_answer(key)) is not None:
                return stored
            unit = self._unit(expect)
            result = await use_case(command, unit)
            write_set = await unit.write_set()
            answer = self._answer(result, view, status)
            if key is not None:
                write_set.writes.append(self._record(key, answer, unit))
            try:
                await self.runtime.commit(write_set)
            except Conflict:
                if expect:
                    raise PreconditionFailed("it was changed in the meantime: read it again") from None
                if attempt == ATTEMPTS - 1:
                    raise
                await self.runtime.renew()
                await asyncio.sleep(0.002 * 2**attempt)
                continue
            unit.committed()
            return answer
        raise AssertionError("unreachable")

    async def query(
        self,
        use_case: Callable[[Any, Any], Awaitable[Any]],
        question: Any,
        *,
        view: Callable[[Any], Any] | None = None,
    ) -> Response:
        """A read: the same without a commit."""
        result = await self._in_time(use_case(question, self._unit(None)))
        return self._answer(result, view, None)

    async def each(
        self,
        use_case: Callable[[Any, Any], Awaitable[Any]],
        commands: Sequence[Any],
        *,
        rows: int | None = None,
    ) -> list[Outcome]:
        """Many commands in one transaction; where that is refused, each in its own. Outcomes in the order given.

        They count as so many `rows` against the limit of the route; beyond it all of them come to TooManyRequests.
        """
        self._admit()
        limit = getattr(self.request.scope.get("route"), "limit", "writes")
        caller = self.principal or ANYBODY
        try:
            await self.runtime.allowances.take(limit, caller.subject, rows or len(commands))
        except TooManyRequests as error:
            return [Outcome(error=error)] * len(commands)
        return await self._in_time(self._each(use_case, commands))

    async def _each(
        self,
        use_case: Callable[[Any, Any], Awaitable[Any]],
        commands: Sequence[Any],
    ) -> list[Outcome]:
        unit = self._unit(None)
        outcomes: list[Outcome] = []
        for command in commands:
            mark = unit.mark()
            try:
                outcomes.append(Outcome(result=await use_case(command, unit)))
            except Exception as error:  # noqa: BLE001 - a refused row is an answer, what is no row's fault is raised below
                self._raise_if_not_the_rows(error)
                unit.back_to(mark)
                outcomes.append(Outcome(error=error))
        try:
            await self.runtime.commit(await unit.write_set())
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001 - one of them is refused by the store: find out which
            return list(await asyncio.gather(*(self._alone(use_case, command) for command in commands)))
        unit.committed()
        return outcomes

    async def _alone(self, use_case: Callable[[Any, Any], Awaitable[Any]], command: Any) -> Outcome:
        for attempt in range(ATTEMPTS):
            unit = self._unit(None)
            try:
                result = await use_case(command, unit)
                await self.runtime.commit(await unit.write_set())
            except Conflict as error:
                if attempt == ATTEMPTS - 1:
                    return Outcome(error=error)
                await self.runtime.renew()
                continue
            except Exception as error:  # noqa: BLE001 - as above
                self._raise_if_not_the_rows(error)
                return Outcome(error=error)
            unit.committed()
            return Outcome(result=result)
        raise AssertionError("unreachable")

    def _raise_if_not_the_rows(self, error: Exception) -> None:
        if isinstance(error, Unavailable) or not self.runtime.knows(error):
            raise error

    async def _in_time(self, work: Awaitable[T]) -> T:
        """An answer within the store's patience, whatever the store does; a commit under way goes on without us."""
        try:
            async with asyncio.timeout(self.runtime.settings.commit_patience_seconds):
                return await work
        except TimeoutError:
            raise Unavailable("the store does not answer in time") from None

    def _admit(self) -> None:
        """Refuse writes while the events of earlier ones pile up: 503 beats a journal that grows without end."""
        self.runtime.gate.admit()

    def _unit(self, expect: Mapping[str, int] | None) -> "UnitOfWork":
        caller = self.principal or ANYBODY
        return self.runtime.unit(
            Circumstances(
                source=f"urn:rapport:{self.runtime.name}",
                actor=caller.subject,
                caller=caller,
                correlation=self.correlation,
                expected=expect or {},
            ),
        )

    def _answer(self, result: Any, view: Callable[[Any], Any] | None, status: int | None) -> Response:
        shown = view(result) if view else result
        code = status or getattr(self.request.scope.get("route"), "status_code", None) or 200
        headers = {}
        version = getattr(result, "version", 0)
        if isinstance(version, int) and hasattr(result, "id"):
            headers["ETag"] = etag(version)
        if shown is None:
            return Response(status_code=204, headers=headers)
        body = shown.model_dump_json() if isinstance(shown, BaseModel) else TypeAdapter(type(shown)).dump_json(shown)
        return Response(body, status_code=code, headers=headers, media_type="application/json")

    async def _idempotency_key(self) -> tuple[str, str] | None:
        key = key_of(self.request)
        if key is None:
            return None
        actor = self.principal.subject if self.principal else ""
        print_ = fingerprint(self.request.method, self.request.scope["path"], await self.request.body())
        if self.principal is not None and self.principal.region is not None:
            # An answer given in one region is not given again to the same person in another.
            print_ = f"{print_}\x00{self.principal.region}"
        # Keyed, because both can be guessed: a key may be somebody's address, a body somebody's answers.
        await self.runtime.keyring.blind_key()  # of a service that reads the keyring and was there before its maker
        blind = self.runtime.keyring.blind
        return blind(f"idempotency-key\x00{actor}\x00{key}"), blind(f"idempotency-request\x00{print_}")

    async def _stored_answer(self, key: tuple[str, str]) -> Response | None:
        id_, print_ = key
        stored = await self.runtime.documents.get(IDEMPOTENCY, id_)
        if stored is None:
            return None
        if stored["fingerprint"] != print_:
            raise IdempotencyReused("this Idempotency-Key was used for another request")
        headers = {**stored["headers"], "Idempotency-Replayed": "true"}
        return Response(
            stored["body"].encode(), status_code=stored["status"], headers=headers, media_type="application/json"
        )

    def _record(self, key: tuple[str, str], answer: Response, unit: "UnitOfWork") -> Write:
        id_, print_ = key
        kept = {name: answer.headers[name] for name in ("ETag", "Location") if name in answer.headers}
        document = {
            "_id": id_,
            "fingerprint": print_,
            "status": answer.status_code,
            "headers": kept,
            "body": bytes(answer.body).decode(),
            "expires_at": midnight_after(unit.now + timedelta(hours=self.runtime.settings.idempotency_hours)),
        }
        return Write(IDEMPOTENCY, id_, document, ABSENT)


async def _runner(request: Request) -> Runner:
    return Runner(request.app.state.runtime, request, getattr(request, "principal", None))


async def run(runner: Annotated[Runner, Depends(_runner)]) -> Run:
    """The dependency behind `Run`."""
    return runner.run


async def query(runner: Annotated[Runner, Depends(_runner)]) -> Query:
    """The dependency behind `Query`."""
    return runner.query


async def each(runner: Annotated[Runner, Depends(_runner)]) -> Each:
    """The dependency behind `RunEach`."""
    return runner.each


async def principal(request: Request) -> Principal:
    """The dependency behind `Caller`."""
    found: Principal = request.principal  # type: ignore[attr-defined] # as StrictRequest has it
    return found
