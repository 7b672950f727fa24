"""A promise is made, and then kept or broken; never both, and each told once."""

from datetime import UTC, date, datetime

import pytest
from engagement.domain.calendar import ImpossibleDate
from engagement.domain.exercise import AlreadyReplied, ExerciseNotFound, OrganiserDecides, PromiseState
from engagement.domain.participation import Level, Role
from engagement.domain.stakeholder import UnknownParticipants
from engagement.usecases.break_overdue_promises import break_overdue_promises
from engagement.usecases.list_exercises import ListExercises, list_exercises
from engagement.usecases.open_exercise import open_exercise
from engagement.usecases.publish_reply import PublishReply, publish_reply
from engagement.usecases.read_exercise import read_exercise
from rapport_chassis.errors import Conflict, PreconditionFailed
from rapport_events.engagement import ExerciseOpened, PromiseBroken, PromiseKept, PromiseMade, ReplyPublished


async def strike(memory):
    """One stroke of the clock."""
    return await memory.run(lambda _, unit: break_overdue_promises(unit), None)


def told(memory):
    return [type(event) for event in memory.events]


async def test_opening_makes_the_promise(memory, exercise):
    opened = await memory.run(open_exercise, exercise())

    assert told(memory) == [ExerciseOpened, PromiseMade]
    event, promise = memory.events
    assert (event.level, event.method, event.decision_maker) == ("involve", "citizen-jury", "director-wales")
    assert (event.participants, event.reply_due) == (("first", "second"), date(2019, 6, 30))
    assert {event.title.subject, promise.promise.subject} == {opened.id}
    assert (opened.opened_on, opened.promise_state) == (date(2019, 6, 3), PromiseState.STANDING)
    assert "The wording can change" not in str(memory.documents.collections["exercises"]) + str(memory.journal)


async def test_the_decision_maker_is_not_the_organiser(memory, exercise):
    with pytest.raises(OrganiserDecides):
        await memory.run(open_exercise, exercise(organiser=Role.DIRECTOR, decision_maker=Role.DIRECTOR))


@pytest.mark.parametrize(
    "dates",
    [
        {"reply_due": date(2019, 6, 3)},
        {"reply_due": date(2019, 5, 1)},
        {"opened_on": date(2019, 6, 4)},
        {"opened_on": date(2019, 5, 2), "reply_due": date(2019, 5, 2)},
    ],
    ids=["due-today", "due-in-the-past", "opened-in-the-future", "due-when-opened"],
)
async def test_impossible_dates_are_refused(memory, exercise, dates):
    with pytest.raises(ImpossibleDate):
        await memory.run(open_exercise, exercise(**dates))
    assert memory.events == []


async def test_participants_must_be_known(memory, exercise):
    with pytest.raises(UnknownParticipants):
        await memory.run(open_exercise, exercise(participants=("nobody",)))


async def test_a_reply_on_the_day_promised_keeps_the_promise(memory, exercise):
    opened = await memory.run(open_exercise, exercise())
    memory.now = datetime(2019, 6, 30, 22, 59, tzinfo=UTC)  # 23:59 in London
    assert await strike(memory) == 0

    replied = await memory.run(publish_reply, PublishReply(exercise_id=opened.id, reply="Example reply"))

    assert told(memory)[2:] == [ReplyPublished, PromiseKept]
    reply = memory.events[2]
    assert (reply.published_on, reply.participants) == (date(2019, 6, 30), ("first", "second"))
    assert (replied.promise_state, replied.replied_on) == (PromiseState.KEPT, date(2019, 6, 30))
    assert (await read_exercise(opened.id, memory.unit())).reply == "Example reply"
    memory.now = datetime(2019, 8, 1, tzinfo=UTC)
    assert await strike(memory) == 0


async def test_the_exercise_knows_which_event_told_of_its_reply(memory, exercise):
    opened = await memory.run(open_exercise, exercise())
    replied = await memory.run(publish_reply, PublishReply(exercise_id=opened.id, reply="Example reply"))

    entry = next(e for e in memory.journal if e["_id"] == replied.reply_event)
    assert ReplyPublished.type in str(entry)


async def test_the_clock_breaks_a_promise_once_when_its_day_is_over_in_london(memory, exercise):
    opened = await memory.run(open_exercise, exercise())
    memory.now = datetime(2019, 6, 30, 23, tzinfo=UTC)  # midnight in London, where it is summer time

    assert await strike(memory) == 1
    assert await strike(memory) == 0

    assert told(memory)[2:] == [PromiseBroken]
    broken = memory.events[2]
    assert (broken.exercise_id, broken.broken_on) == (opened.id, date(2019, 7, 1))
    assert (broken.reply_due, broken.decision_maker) == (date(2019, 6, 30), "director-wales")
    assert (await read_exercise(opened.id, memory.unit())).promise_state is PromiseState.BROKEN


async def test_two_clocks_that_strike_together_break_it_once(memory, exercise):
    await memory.run(open_exercise, exercise())
    memory.now = datetime(2019, 7, 1, 12, tzinfo=UTC)
    one, other = memory.unit(), memory.unit()
    await break_overdue_promises(one)
    await break_overdue_promises(other)

    await memory.commit(one)
    with pytest.raises(Conflict):
        await memory.commit(other)
    assert told(memory).count(PromiseBroken) == 1


async def test_a_late_reply_is_published_and_the_promise_stays_broken(memory, exercise):
    opened = await memory.run(open_exercise, exercise())
    memory.now = datetime(2019, 7, 5, 12, tzinfo=UTC)
    await strike(memory)

    replied = await memory.run(publish_reply, PublishReply(exercise_id=opened.id, reply="Example reply"))

    assert told(memory)[2:] == [PromiseBroken, ReplyPublished]
    assert (replied.promise_state, replied.broken_on) == (PromiseState.BROKEN, date(2019, 7, 5))


async def test_a_late_reply_ahead_of_the_clock_breaks_the_promise_first(memory, exercise):
    opened = await memory.run(open_exercise, exercise())
    memory.now = datetime(2019, 7, 5, 12, tzinfo=UTC)

    await memory.run(publish_reply, PublishReply(exercise_id=opened.id, reply="Example reply"))

    assert told(memory)[2:] == [PromiseBroken, ReplyPublished]
    assert await strike(memory) == 0


async def test_there_is_one_reply(memory, exercise):
    opened = await memory.run(open_exercise, exercise())
    command = PublishReply(exercise_id=opened.id, reply="Example reply")
    await memory.run(publish_reply, command)

    with pytest.raises(AlreadyReplied):
        await memory.run(publish_reply, command)
    assert told(memory).count(ReplyPublished) == 1


async def test_a_reply_to_another_version_is_refused(memory, exercise):
    opened = await memory.run(open_exercise, exercise())

    with pytest.raises(PreconditionFailed):
        await memory.run(
            publish_reply, PublishReply(exercise_id=opened.id, reply="Example reply"), expected={opened.id: 7}
        )


async def test_an_exercise_recorded_late_may_be_overdue_at_once(memory, exercise):
    late = exercise(opened_on=date(2019, 4, 1), reply_due=date(2019, 5, 1))
    opened = await memory.run(open_exercise, late)
    assert (opened.opened_on, opened.recorded_at) == (date(2019, 4, 1), memory.now)

    assert await strike(memory) == 1
    assert memory.events[-1].broken_on == date(2019, 6, 3)


async def test_exercises_are_found_by_the_state_of_their_promise(memory, exercise):
    standing = await memory.run(open_exercise, exercise())
    late = await memory.run(open_exercise, exercise(opened_on=date(2019, 4, 1), reply_due=date(2019, 5, 1)))
    await strike(memory)

    async def found(**where):
        return [one.id for one in await list_exercises(ListExercises(**where), memory.unit())]

    assert await found() == [late.id, standing.id]
    assert await found(promise_state=PromiseState.BROKEN) == [late.id]
    assert await found(participant="second", level=Level.INVOLVE, before=(late.id,)) == [standing.id]


async def test_an_unknown_exercise_is_not_found(memory):
    with pytest.raises(ExerciseNotFound):
        await memory.run(publish_reply, PublishReply(exercise_id="none", reply="Example reply"))
