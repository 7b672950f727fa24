"""Events and services fit: whoever listens is told, and only the owner tells."""

from rapport_cli.documents.house import House
from rapport_events.catalog import EVENTS, TOPICS

from tests.architecture.source import SERVICES


def test_every_event_of_the_catalogue_is_told_by_its_owner(house: House) -> None:
    told = {event.type: service.name for service in house.services for event in service.emits}
    assert told == {event.type: TOPICS[event.topic].owner for event in EVENTS.values()}


def test_only_one_service_tells_an_event(house: House) -> None:
    told = [event.type for service in house.services for event in service.emits]
    assert len(told) == len(set(told))


def test_whoever_listens_is_told(house: House) -> None:
    told = {event for service in house.services for event in service.emits}
    for service in house.services:
        assert set(service.consumes) <= told, service.name


def test_nobody_listens_to_itself(house: House) -> None:
    for service in house.services:
        assert not set(service.consumes) & set(service.emits), service.name


def test_what_is_told_and_heard_is_the_newest_version(house: House) -> None:
    newest = set(EVENTS.values())
    for service in house.services:
        assert newest.issuperset((*service.emits, *service.consumes)), service.name


def test_every_topic_belongs_to_a_service() -> None:
    assert {topic.owner for topic in TOPICS.values()} == set(SERVICES)


def test_a_service_is_named_as_its_package(house: House) -> None:
    """Database, consumer group and `ce_source` are named after it."""
    assert tuple(service.name for service in house.services) == SERVICES


def test_every_service_answers_its_own_errors(house: House) -> None:
    for service in house.services:
        for error, status in service.errors.items():
            assert error.__module__.startswith((f"{service.name}.", "rapport_chassis.")), f"{service.name}: {error}"
            assert 400 <= status < 600, f"{service.name}: {error}"
