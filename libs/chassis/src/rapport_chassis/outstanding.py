"""What somebody has not applied of a journal: events that are not sent yet, and events that are sent and not heard yet.

Only the owner of a journal can say what such events are about, and only by the fields that its events name for that.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rapport_events.catalog import EVENTS, TOPICS

from rapport_chassis.journal import Partition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rapport_chassis.journal import Journal

UNSENT, UNHEARD = "unsent", "unheard"

MOST_LOOKED_AT = 10_000
"""Events of each state whose data are looked at; those behind them are only counted."""
MOST_COUNTED = 100_000
"""Unsent events."""
MOST_KINDS = 500
BATCHES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Outstanding:
    """Events of one kind. `about`: the fields of their data by which they are counted, of an object its names.

    None where nobody looked: there are too many, or they are no longer kept.
    """

    topic: str
    state: str
    about: Mapping[str, Any] | None
    events: int


async def outstanding(journal: Journal, topic: str, heard: Mapping[int, int]) -> list[Outstanding]:
    """What is outstanding for somebody who applied the number `heard[p]` last of the partition p, 0 where it has none.

    What is sent at this very moment may be in neither state.
    """
    fields = sorted({name for event in EVENTS.values() if event.topic == topic for name in event.about})
    unheard, ids = 0, list[str]()
    for number in range(TOPICS[topic].partitions):
        partition, applied = Partition(topic, number), heard.get(number, 0)
        last = await journal.last_batch(partition)
        if last is None:
            continue
        sent = last.next - 1 if last.offset is not None else last.first - 1
        unheard += max(0, sent - applied)
        ids += await _ids(journal, partition, applied + 1, sent, MOST_LOOKED_AT - len(ids))
    unsent = await journal.unsent_of(topic, MOST_COUNTED)
    if not fields:
        states = {UNSENT: unsent, UNHEARD: unheard}
        return [Outstanding(topic=topic, state=state, about={}, events=n) for state, n in states.items() if n]
    unsent_data = await journal.unsent_data(topic, fields, MOST_LOOKED_AT)
    unheard_data = await journal.data(ids, fields)
    return [*_kinds(topic, UNSENT, unsent_data, unsent), *_kinds(topic, UNHEARD, unheard_data, unheard)]


async def _ids(journal: Journal, partition: Partition, first: int, last: int, most: int) -> Sequence[str]:
    """Of the events with the numbers from `first` to `last`, as many as are wanted."""
    found: list[str] = []
    while first <= last and len(found) < most:
        batches = await journal.batches(partition, first_from=first, limit=BATCHES)
        if not batches:
            break
        for batch in batches:
            found += batch.ids[max(0, first - batch.first) : last + 1 - batch.first]
        first = batches[-1].next
    return found[:most]


def _kinds(topic: str, state: str, data: Iterable[Mapping[str, Any]], total: int) -> list[Outstanding]:
    counts = Counter(json.dumps({name: _names(value) for name, value in each.items()}, sort_keys=True) for each in data)
    kinds = [
        Outstanding(topic=topic, state=state, about=json.loads(about), events=events)
        for about, events in counts.most_common(MOST_KINDS)
    ]
    rest = total - sum(kind.events for kind in kinds)
    return [*kinds, Outstanding(topic=topic, state=state, about=None, events=rest)] if rest > 0 else kinds


def _names(value: Any) -> Any:
    return sorted(value) if isinstance(value, dict) else value
