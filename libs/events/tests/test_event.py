import pytest
from pydantic import BaseModel, ValidationError
from rapport_events.event import Event, Sealed
from rapport_events.feedback import Group, ResponseReceived
from rapport_events.registry import StakeholderAmended, StakeholderFacts, StakeholderRegistered

RESPONSE = {
    "response_id": "r-1",
    "wave_id": "w-1",
    "instrument_code": "PPT",
    "answers": {"heard": "yes"},
    "day": "2020-02-11",
    "synthetic": True,
}


def test_type_tells_topic_family_and_version() -> None:
    assert StakeholderRegistered.topic == "registry.stakeholder"
    assert StakeholderRegistered.family == "registry.stakeholder.registered"
    assert StakeholderRegistered.version == 1
    assert ResponseReceived.model_validate(RESPONSE).aggregate_id() == "r-1"


@pytest.mark.parametrize(
    "wrong",
    [
        "noted",
        "a.b.v1",
        "a.b.c",
        "a.b.c.v0",
        "a.b.c.v01",
        "A.b.c.v1",
        "a.b_c.d.v1",
        "a.b.c-.v1",
        "a.b.c.v1\n",
        "a.b.c.d.v1",
    ],
)
def test_type_that_breaks_the_rule_of_names_is_refused(wrong: str) -> None:
    with pytest.raises(TypeError, match="past-tense"):

        class Noted(Event):
            type = wrong
            key = "id"
            id: str


@pytest.mark.parametrize("wrong", ["nothing", "words"])
def test_sealed_words_count_no_events_for_anybody(wrong: str) -> None:
    with pytest.raises(TypeError, match="about"):

        class Noted(Event):
            type = "a.b.noted.v1"
            key = "id"
            about = (wrong,)
            id: str
            words: Sealed | None = None


def test_key_that_names_no_field_is_refused() -> None:
    with pytest.raises(TypeError, match="key"):

        class Noted(Event):
            type = "a.b.noted.v1"
            key = "nowhere"
            id: str


def test_facts_shared_by_several_events_are_no_event_themselves() -> None:
    assert issubclass(StakeholderRegistered, StakeholderFacts)
    assert issubclass(StakeholderAmended, StakeholderFacts)
    assert "type" not in vars(StakeholderFacts)


def test_event_is_frozen_and_ignores_what_it_does_not_know() -> None:
    event = ResponseReceived.model_validate({**RESPONSE, "mood": "sunny"})
    assert "mood" not in event.model_dump()
    with pytest.raises(ValidationError, match="frozen"):
        event.weight = 1  # type: ignore[misc]


def test_named_constants_are_plain_text_on_the_wire() -> None:
    event = ResponseReceived.model_validate({**RESPONSE, "groups": [Group.BAME]})
    assert event.model_dump(mode="json")["groups"] == ["bame"]
    assert event.groups == ("bame",)


def test_error_does_not_quote_what_it_refuses() -> None:
    with pytest.raises(ValidationError) as refused:
        ResponseReceived.model_validate({**RESPONSE, "weight": "words of a person"})
    assert "words of a person" not in str(refused.value)


class TestSealed:
    def test_clear_text_can_be_had_but_not_seen(self) -> None:
        unsealed = Sealed.of("s-1", "own words")
        assert unsealed.clear == "own words"
        assert "own words" not in f"{unsealed} {unsealed!r}"

    def test_clear_text_refuses_to_be_serialised(self) -> None:
        event = ResponseReceived.model_validate({**RESPONSE, "comment": Sealed.of("r-1", "own words")})
        assert "own words" not in repr(event)
        for write in (event.model_dump, event.model_dump_json, lambda: event.model_dump(mode="json")):
            with pytest.raises(ValueError, match="not sealed yet") as refused:
                write()
            assert "own words" not in str(refused.value)

    def test_clear_text_cannot_come_in_by_the_wire(self) -> None:
        wire = {"subject": "s-1", "token": "t", "clear": "own words", "_clear": "own words"}
        assert Sealed.model_validate(wire).clear is None
        with pytest.raises(ValidationError):
            Sealed.model_validate({"subject": "s-1", "token": ""})

    def test_needs_a_subject(self) -> None:
        with pytest.raises(ValueError, match="subject"):
            Sealed.of("", "own words")

    def test_event_lists_and_replaces_its_sealed_fields(self) -> None:
        event = ResponseReceived.model_validate({**RESPONSE, "comment": Sealed.of("r-1", "own words")})
        assert [(path, sealed.clear) for path, sealed in event.sealed_fields()] == [("comment", "own words")]
        sealed = event.with_sealed({"comment": Sealed(subject="r-1", token="t")})
        assert sealed.model_dump(mode="json")["comment"] == {"subject": "r-1", "token": "t"}
        assert event.comment is not None
        assert event.comment.clear == "own words"

    def test_event_without_words_has_no_sealed_fields(self) -> None:
        event = ResponseReceived.model_validate(RESPONSE)
        assert list(event.sealed_fields()) == []
        assert event.with_sealed({}) is event

    def test_only_sealed_fields_are_replaced(self) -> None:
        event = ResponseReceived.model_validate(RESPONSE)
        with pytest.raises(KeyError, match="wave_id"):
            event.with_sealed({"wave_id": Sealed(subject="r-1", token="t")})

    def test_sealed_below_the_top_level_is_refused(self) -> None:
        class Words(BaseModel):
            text: Sealed

        for hidden in (tuple[Sealed, ...], dict[str, Sealed], Words, tuple[Words, ...] | None):
            with pytest.raises(TypeError, match="top level"):

                class Noted(Event):
                    type = "a.b.noted.v1"
                    key = "id"
                    id: str
                    words: hidden  # type: ignore[valid-type]
