"""Every topic sent again from its first event: nobody hears anything twice, and no document changes."""

from rapport_events.catalog import TOPICS

from tests.integration.acts import (
    answer,
    close_wave,
    consent,
    counted,
    import_responses,
    log_contact,
    open_wave,
    promise_broken,
    register,
    submit,
    subscribe,
)
from tests.integration.rapport import Rapport, new_key, until

TECHNICAL = {"cursors": (), "journal_republish": (), "journal_batches": ("offset", "log"), "allowances": ()}
"""Where events lie in the log, how far they were read there, and how often somebody asked, is all that may differ."""

RESPONSES = 60


async def live(rapport: Rapport) -> None:
    """Something on every topic."""
    await rapport.http("engagement").put("/plan", json={})
    person = await register(rapport)
    await consent(rapport, person, "email")
    address = f"{new_key()}@example.org"
    told = await subscribe(rapport, "engagement.contact.logged", "email", address, person)
    await promise_broken(rapport, participants=[person])
    await log_contact(rapport, [person], notes="Example notes")
    wave = await open_wave(rapport)
    await import_responses(rapport, wave["id"], [answer(n) for n in range(RESPONSES)])
    await submit(rapport, wave["id"], answer(0, stakeholder_id=person, comment="Example comment"))
    await counted(rapport, wave["id"], RESPONSES + 1)
    await close_wave(rapport, wave)
    await rapport.settled()
    ended = await rapport.http("notifications").delete(f"/subscriptions/{told['id']}")
    assert ended.is_success
    assert (await rapport.http("registry").delete(f"/stakeholders/{person}")).is_success


async def test_every_topic_replayed_from_the_start_changes_nothing(rapport: Rapport) -> None:
    await live(rapport)
    await rapport.settled()
    heads = await rapport.heads()
    assert {topic for topic, _ in heads} == set(TOPICS), "there is something on every topic"
    before = await rapport.documents(without=TECHNICAL)
    on_topics = await rapport.told()
    ends = await rapport.ends(TOPICS)
    with rapport.mailbox() as mailbox:
        arrived = mailbox.messages(turned_away=True)

    for topic, what in TOPICS.items():
        await rapport.post(what.owner, "/operations/republish", {"topic": topic, "first": 1})

    async def sent_again() -> bool:
        now = await rapport.ends(TOPICS)
        return all(now[place] >= ends[place] + head for place, head in heads.items())

    async def heard_again() -> bool:
        now = await rapport.ends(TOPICS)
        for service, topics in rapport.consumed.items():
            cursors = await rapport.cursors(service)
            if any(cursors[place]["offset"] < now[place] for place in heads if place[0] in topics):
                return False
        return True

    await until(sent_again, what="everything is on the topics twice")
    await until(heard_again, what="everybody has read it twice")
    await rapport.settled()

    assert await rapport.told() == on_topics, "nothing new, and no other number"
    after = await rapport.documents(without=TECHNICAL)
    assert after.keys() == before.keys()
    for collection in before:
        assert after[collection] == before[collection], collection
    with rapport.mailbox() as mailbox:
        assert mailbox.messages(turned_away=True) == arrived
