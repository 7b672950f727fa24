"""Group commit over a real replica set: all or nothing, the loser alone hears of it, nobody waits for ever."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from types import NoneType

import pytest
from pymongo import AsyncMongoClient, monitoring
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import AutoReconnect, PyMongoError, WriteConcernError
from rapport_chassis.committer import Committer, Limits, TooLarge
from rapport_chassis.errors import Conflict, Unavailable
from rapport_chassis.write_set import ABSENT, ANY, Write, WriteSet


def put(id_: str, value: int, expected: int = ABSENT, **fields: object) -> WriteSet:
    document = {"_id": id_, "value": value, "version": max(expected, 0) + 1, **fields}
    return WriteSet([Write("things", id_, document, expected)])


class Commits(monitoring.CommandListener):
    """Counts transactions as the server sees them."""

    def __init__(self) -> None:
        self.count = 0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.count += event.command_name == "commitTransaction"

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


@pytest.fixture
def commits() -> Commits:
    return Commits()


@pytest.fixture
async def committer(mongo_uri: str, database: AsyncDatabase, commits: Commits) -> AsyncIterator[Committer]:
    client: AsyncMongoClient = AsyncMongoClient(mongo_uri, event_listeners=[commits])
    for name in ("things", "journal"):
        await database.create_collection(name)
    yield Committer(client, database.name)
    await client.close()


async def stored(database: AsyncDatabase) -> dict[str, int]:
    return {d["_id"]: d["value"] async for d in database["things"].find()}


async def test_what_waits_shares_a_transaction(committer: Committer, database: AsyncDatabase, commits: Commits) -> None:
    await asyncio.gather(*(committer.commit(put(f"t{n}", n)) for n in range(100)))
    assert await stored(database) == {f"t{n}": n for n in range(100)}
    assert commits.count < 10


async def test_only_the_loser_hears_of_a_lost_race(committer: Committer, database: AsyncDatabase) -> None:
    await committer.commit(put("taken", 1))
    outcomes = await asyncio.gather(
        *(committer.commit(put(f"t{n}", n)) for n in range(20)),
        committer.commit(put("taken", 2)),
        committer.commit(put("taken", 3, expected=7)),
        return_exceptions=True,
    )
    assert [type(o) for o in outcomes[20:]] == [Conflict, Conflict]
    assert outcomes[:20] == [None] * 20
    assert await stored(database) == {"taken": 1, **{f"t{n}": n for n in range(20)}}


async def test_a_document_no_store_takes_fails_alone(committer: Committer, database: AsyncDatabase) -> None:
    bad = put("bad", 1, huge=2**70)
    outcomes = await asyncio.gather(
        committer.commit(put("a", 1)), committer.commit(bad), committer.commit(put("b", 2)), return_exceptions=True
    )
    assert isinstance(outcomes[1], OverflowError)
    assert await stored(database) == {"a": 1, "b": 2}


async def test_what_is_too_large_for_the_cache_fails_alone(committer: Committer, database: AsyncDatabase) -> None:
    fills = {"fills": "x" * 15_000_000}
    huge = WriteSet([write for n in range(16) for write in put(f"huge{n}", n, **fills).writes])
    outcomes = await asyncio.gather(
        committer.commit(put("a", 1)), committer.commit(huge), committer.commit(put("b", 2)), return_exceptions=True
    )
    assert [type(o) for o in outcomes] == [NoneType, TooLarge, NoneType]
    assert await stored(database) == {"a": 1, "b": 2}


async def test_writers_of_one_document_take_turns(committer: Committer, database: AsyncDatabase) -> None:
    await committer.commit(put("one", 0))
    outcomes = await asyncio.gather(
        *(committer.commit(put("one", n, expected=1)) for n in range(1, 9)), return_exceptions=True
    )
    assert outcomes.count(None) == 1
    assert sum(isinstance(o, Conflict) for o in outcomes) == 7
    assert (await stored(database))["one"] == outcomes.index(None) + 1


async def test_a_write_set_is_all_or_nothing(committer: Committer, database: AsyncDatabase) -> None:
    await committer.commit(put("there", 1))
    both = WriteSet([*put("new", 1).writes, *put("there", 2).writes])
    with pytest.raises(Conflict):
        await committer.commit(both)
    assert await stored(database) == {"there": 1}


async def test_removing_and_writing_anyhow(committer: Committer, database: AsyncDatabase) -> None:
    await committer.commit(put("gone", 1))
    await committer.commit(WriteSet([Write("things", "gone", None, 1)]))
    with pytest.raises(Conflict):
        await committer.commit(WriteSet([Write("things", "gone", None, 1)]))
    await committer.commit(put("anyhow", 1, expected=ANY))
    await committer.commit(put("anyhow", 2, expected=ANY))
    assert await stored(database) == {"anyhow": 2}


async def test_a_client_that_goes_away_cancels_nothing(committer: Committer, database: AsyncDatabase) -> None:
    request = asyncio.create_task(committer.commit(put("kept", 1)))
    await asyncio.sleep(0)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    await committer.close()
    assert await stored(database) == {"kept": 1}


@pytest.mark.parametrize(
    "said",
    [
        AutoReconnect("connection closed"),
        WriteConcernError("the primary stepped down", 189),
        WriteConcernError("nobody there to confirm it", 100),
    ],
)
async def test_a_commit_whose_answer_was_lost_is_no_conflict(
    committer: Committer, database: AsyncDatabase, monkeypatch: pytest.MonkeyPatch, said: PyMongoError
) -> None:
    commit, lost = AsyncClientSession.commit_transaction, [said, said]

    async def without_answer(session: AsyncClientSession) -> None:
        await commit(session)
        if lost:
            raise lost.pop()

    monkeypatch.setattr(AsyncClientSession, "commit_transaction", without_answer)
    await asyncio.gather(*(committer.commit(put(f"t{n}", n)) for n in range(3)))
    assert await stored(database) == {f"t{n}": n for n in range(3)}
    assert not lost


async def test_a_commit_in_doubt_to_the_end_is_not_written_again(
    committer: Committer, database: AsyncDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = AsyncClientSession.commit_transaction

    async def without_answer(session: AsyncClientSession) -> None:
        await commit(session)
        raise WriteConcernError("nobody there to confirm it", 100)

    monkeypatch.setattr(AsyncClientSession, "commit_transaction", without_answer)
    committer.limits = Limits(patience=0.3)
    with pytest.raises(Unavailable, match="not known"):
        await committer.commit(put("there", 1))
    assert await stored(database) == {"there": 1}


HOLDER = """
import sys
from pymongo import MongoClient

client = MongoClient(sys.argv[1])
with client.start_session() as session, session.start_transaction():
    client[sys.argv[2]]["things"].insert_one({"_id": "held", "value": 1}, session=session)
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(mongo_uri: str, database: AsyncDatabase, committer: Committer) -> Iterator[subprocess.Popen[str]]:
    """A process in the midst of a transaction; a line of input lets it commit."""
    command = [sys.executable, "-c", HOLDER, mongo_uri, database.name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


async def test_what_a_killed_process_had_begun_holds_up_nobody(
    committer: Committer, database: AsyncDatabase, holder: subprocess.Popen[str]
) -> None:
    holder.kill()
    holder.wait()
    await asyncio.wait_for(committer.commit(put("held", 2)), 5)
    assert await stored(database) == {"held": 2}


async def test_what_a_living_process_has_begun_is_left_alone(
    committer: Committer, database: AsyncDatabase, holder: subprocess.Popen[str]
) -> None:
    committer.limits = Limits(patience=1)
    with pytest.raises(Unavailable):
        await committer.commit(put("held", 2))
    holder.communicate("commit\n", timeout=10)
    assert await stored(database) == {"held": 1}


async def test_what_a_stalled_process_has_begun_is_ended(
    committer: Committer, database: AsyncDatabase, holder: subprocess.Popen[str]
) -> None:
    committer.limits = Limits(stalled=0.2)
    await asyncio.wait_for(committer.commit(put("held", 2)), 5)
    holder.communicate("commit\n", timeout=10)
    assert holder.returncode, "it has no transaction any more to commit"
    assert await stored(database) == {"held": 2}


async def test_a_store_that_is_away_is_told_within_the_bound() -> None:
    client: AsyncMongoClient = AsyncMongoClient(
        "mongodb://127.0.0.1:9/?replicaSet=none", serverSelectionTimeoutMS=100, connectTimeoutMS=100
    )
    committer = Committer(client, "nowhere", Limits(patience=0.3))
    with pytest.raises(Unavailable):
        await asyncio.wait_for(committer.commit(put("a", 1)), 5)
    await client.close()


async def test_what_nobody_waits_for_any_more_is_not_begun(committer: Committer, database: AsyncDatabase) -> None:
    first = asyncio.create_task(committer.commit(put("one", 1)))
    given_up = asyncio.create_task(committer.commit(put("one", 2, expected=1)))  # of the next transaction, not of this
    await asyncio.sleep(0)
    while committer.waiting != 1:
        await asyncio.sleep(0)
    given_up.cancel()
    await first
    await committer.commit(put("another", 3))
    assert await stored(database) == {"one": 1, "another": 3}
