import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import NoneType
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapport_events.catalog import EVENTS, TOPICS, Catalog, InvalidData, NewerVersion, Topic, UnknownFamily, decode
from rapport_events.envelope import Envelope
from rapport_events.event import Event, Sealed
from rapport_events.feedback import WEIGHT_MAX, ResponseReceived
from rapport_events.upcast import Upcasters, upcasts

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*/*.json"))


class LampLit(Event):
    """A lamp was lit, in lumen; version 1 said it in candles."""

    type = "house.lamp.lit.v3"
    key = "lamp_id"

    lamp_id: str
    lumen: int
    room: str


UPCASTERS: Upcasters = {}


@upcasts("house.lamp.lit", 1, UPCASTERS)
def candles_become_lumen(data: dict[str, Any]) -> dict[str, Any]:
    data["lumen"] = data.pop("candles") * 12
    return data


@upcasts("house.lamp.lit", 2, UPCASTERS)
def room_is_named(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "room": "unknown"}


HOUSE = Catalog((LampLit,), UPCASTERS)


def lamp(event_type: str, data: dict[str, Any], subject: str = "l-1") -> Envelope:
    return Envelope(
        id="e-1",
        source="/house",
        type=event_type,
        time=datetime(2020, 1, 1, tzinfo=UTC),
        subject=subject,
        dataschema=f"urn:rapport:event:{event_type}",
        partitionkey=subject,
        data=data,
        correlationid="c-1",
    )


class TestVersions:
    def test_old_versions_reach_the_newest_class(self) -> None:
        first = HOUSE.decode(lamp("house.lamp.lit.v1", {"lamp_id": "l-1", "candles": 2}))
        assert first == LampLit(lamp_id="l-1", lumen=24, room="unknown")
        second = HOUSE.decode(lamp("house.lamp.lit.v2", {"lamp_id": "l-1", "lumen": 30}))
        assert second == LampLit(lamp_id="l-1", lumen=30, room="unknown")
        third = HOUSE.decode(lamp("house.lamp.lit.v3", {"lamp_id": "l-1", "lumen": 30, "room": "hall", "new": 1}))
        assert third == LampLit(lamp_id="l-1", lumen=30, room="hall")

    def test_upcasting_leaves_the_envelope_as_it_was(self) -> None:
        old = lamp("house.lamp.lit.v1", {"lamp_id": "l-1", "candles": 2})
        HOUSE.decode(old)
        assert old.data == {"lamp_id": "l-1", "candles": 2}

    def test_newer_version_of_a_known_family_is_told_apart(self) -> None:
        with pytest.raises(NewerVersion, match="known up to version 3"):
            HOUSE.decode(lamp("house.lamp.lit.v4", {"lamp_id": "l-1"}))

    @pytest.mark.parametrize(
        "unknown", ["house.lamp.dimmed.v1", "house.lamp.lit", "house.lamp.lit.v0", "house.lamp.lit.v01", "", ".v1"]
    )
    def test_unknown_family_is_told_apart(self, unknown: str) -> None:
        with pytest.raises(UnknownFamily):
            HOUSE.decode(lamp(unknown, {"lamp_id": "l-1"}))

    @pytest.mark.parametrize(
        ("version", "data"),
        [
            (1, {"lamp_id": "l-1"}),
            (1, {"lamp_id": "l-1", "candles": None}),
            (2, {"lamp_id": "l-1"}),
            (3, {"lamp_id": "l-1", "lumen": "bright", "room": "hall"}),
            (3, {"lamp_id": "l-2", "lumen": 1, "room": "hall"}),
        ],
    )
    def test_data_that_do_not_fit_are_told_apart(self, version: int, data: dict[str, Any]) -> None:
        with pytest.raises(InvalidData, match=f"house.lamp.lit.v{version}") as refused:
            HOUSE.decode(lamp(f"house.lamp.lit.v{version}", data))
        assert "bright" not in str(refused.value)


class TestCatalogue:
    def test_gap_in_the_way_up_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"house\.lamp\.lit"):
            Catalog((LampLit,), {("house.lamp.lit", 1): candles_become_lumen})

    def test_upcaster_of_nothing_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"house\.door\.opened"):
            Catalog((LampLit,), {**UPCASTERS, ("house.door.opened", 1): room_is_named})

    def test_family_listed_twice_is_refused(self) -> None:
        with pytest.raises(ValueError, match="twice"):
            Catalog((LampLit, LampLit), UPCASTERS)

    def test_two_upcasters_for_one_step_are_refused(self) -> None:
        with pytest.raises(ValueError, match="two upcasters"):
            upcasts("house.lamp.lit", 1, UPCASTERS)(room_is_named)


class TestRealEvents:
    def test_every_event_of_the_contexts_is_listed(self) -> None:
        def below(event: type[Event]) -> set[type[Event]]:
            return {event}.union(*map(below, event.__subclasses__()))

        defined = {event for event in below(Event) if "type" in vars(event)}
        assert set(EVENTS.values()) == {event for event in defined if event.__module__.startswith("rapport_events.")}

    def test_topics(self) -> None:
        assert TOPICS["feedback.response"] == Topic("feedback.response", 6, "feedback", "response")
        assert TOPICS["registry.stakeholder"] == Topic("registry.stakeholder", 3, "registry", "stakeholder")
        assert {topic.owner for topic in TOPICS.values()} == {
            "registry",
            "engagement",
            "feedback",
            "measures",
            "notifications",
        }

    def test_all_events_of_a_topic_have_the_same_key(self) -> None:
        keys: dict[str, set[str]] = {}
        for event in EVENTS.values():
            keys.setdefault(event.topic, set()).add(event.key)
        assert {topic: len(names) for topic, names in keys.items()} == dict.fromkeys(TOPICS, 1)

    @pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
    def test_every_field_is_described_and_what_may_be_absent_has_a_default(self, event: type[Event]) -> None:
        assert event.__doc__
        for name, field in event.model_fields.items():
            assert field.description, f"{event.__name__}.{name}"
            if NoneType in get_args(field.annotation):
                assert field.default is None, f"{event.__name__}.{name}: absent values are not on the wire"

    @pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
    def test_example_of_the_newest_version_is_what_its_event_writes(self, path: Path) -> None:
        envelope = Envelope.from_structured(json.loads(path.read_text()))
        event = decode(envelope)
        if envelope.type != event.type:
            return  # an older version: that it decodes is all that is asked of it
        again = Envelope.of(
            event,
            id=envelope.id,
            source=envelope.source,
            time=envelope.time,
            correlationid=envelope.correlationid,
            causationid=envelope.causationid,
            traceparent=envelope.traceparent,
            tracestate=envelope.tracestate,
        )
        # defaults gained since the example was written are in `again` only
        assert again.data | envelope.data == again.data
        assert replace(again, sequence=envelope.sequence, data=envelope.data) == envelope

    @given(
        st.builds(
            ResponseReceived,
            response_id=st.text(min_size=1),
            answers=st.dictionaries(st.text(), st.text()),
            groups=st.lists(st.text()).map(tuple),
            region=st.none() | st.text(),
            weight=st.integers(1, WEIGHT_MAX),
            day=st.dates(),
            stakeholder_id=st.none() | st.text(min_size=1),
            comment=st.none() | st.builds(Sealed, subject=st.text(min_size=1), token=st.text(min_size=1)),
            wave_id=st.text(min_size=1),
            instrument_code=st.text(min_size=1),
            synthetic=st.booleans(),
        )
    )
    def test_response_survives_the_journey(self, event: ResponseReceived) -> None:
        sent = Envelope.of(event, id="e", source="/s", correlationid="c", time=datetime(2020, 1, 1, tzinfo=UTC))
        assert decode(Envelope.from_kafka(*sent.to_kafka())) == event

    def test_response_weighs_one_unless_told(self) -> None:
        event = ResponseReceived(
            response_id="r", wave_id="w", instrument_code="PPT", answers={}, day=date(2020, 1, 1), synthetic=True
        )
        assert event.weight == 10_000
