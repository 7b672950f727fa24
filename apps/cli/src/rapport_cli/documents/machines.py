"""deploy/principals.json and docs/machines.md: what each service may do at MongoDB and Kafka, out of its contract."""

from collections.abc import Iterator

from rapport_chassis.repository import repository
from rapport_chassis.service import Service
from rapport_chassis.settings import ServiceSettings
from rapport_events.catalog import TOPICS
from rapport_stack.principals import Principal, principals_text

from rapport_cli.documents.house import House
from rapport_cli.documents.markdown import GENERATED, table

KEYRING: str = ServiceSettings.model_fields["keyring_database"].default

OPENS = {"": ("listCollections",), "keys": ("find",), "secrets": ("find",), "vault": ("find",)}
"""What it takes to open what others sealed."""

SEALS = {
    "": ("listCollections",),
    "keys": ("createCollection", "find", "insert", "update"),
    "secrets": ("createCollection", "find", "insert"),
    "vault": ("createCollection", "createIndex", "find", "insert"),
}
"""What it takes to seal and to erase. Nobody changes the vault, in which lies what opens everything, and nobody deletes."""

HEAD = """\
# Which service may do what at MongoDB and Kafka

Each service has a user at MongoDB and a principal at Kafka, both under its own name. What they may do follows from its
contract: its own database, the topics it owns, the topics it hears, its own consumer group, and as much of the keyring as
its sealed fields need. Whatever is not in these tables is refused by the servers. Embedded servers and
`docker-compose.yml` grant exactly this, as it is written for machines in `deploy/principals.json`. Names of databases
are without `RAPPORT_MONGO_DATABASE_PREFIX`.

`administrator` is nobody's identity in production: it is for development programs, tests and whoever looks into a server
of a development machine. No service has a role that reaches beyond these tables (`root`, `dbOwner`, `clusterAdmin` …).
"""


def principals(house: House) -> tuple[Principal, ...]:
    """Of all services."""
    return tuple(map(_principal, house.services))


def principals_document(house: House) -> str:
    """The same as the servers' side reads it."""
    return principals_text(principals(house))


def machines_page(house: House) -> str:
    """The whole page."""
    granted = principals(house)
    lines = [GENERATED, *HEAD.splitlines(), ""]
    lines += ["## MongoDB", ""]
    lines += table(
        ("user", "role, by database", *(f"`{KEYRING}.{name}`" for name in OPENS if name)), map(_user, granted)
    )
    lines += ["On the keyring's database everybody may list the collections.", ""]
    lines += ["## Kafka", ""]
    lines += table(("topic", *(each.name for each in granted)), _topics(granted))
    lines += ["To read or to write a topic is to describe it. Each is made by whoever needs it first.", ""]
    lines += table(("principal", "consumer group, to read"), _groups(granted))
    return "\n".join(lines).rstrip() + "\n"


def _principal(service: Service) -> Principal:
    owned = {topic.name for topic in TOPICS.values() if topic.owner == service.name}
    if strange := {event.topic for event in service.emits} - owned:
        raise ValueError(f"{service.name} emits on topics of others: {', '.join(sorted(strange))}")
    topics: dict[str, tuple[str, ...]] = {event.topic: ("Create", "Read") for event in service.consumes}
    # The relay reads, too: what it wrote before it was killed.
    topics |= {event.topic: ("Create", "Read", "Write") for event in service.emits}
    return Principal(
        service.name,
        databases={service.name: "readWrite"},
        collections={KEYRING: SEALS if _seals(service) else OPENS},
        topics=dict(sorted(topics.items())),
        groups=(service.name,) if service.consumes else (),
    )


def _seals(service: Service) -> bool:
    declared = (each for kind in service.unit.__mro__ for each in vars(kind).values())
    return any(event.sealed for event in service.emits) or any(
        isinstance(each, repository) and each.sealed for each in declared
    )


def _user(principal: Principal) -> Iterator[str]:
    yield principal.name
    yield ", ".join(f"`{role}` on `{database}`" for database, role in principal.databases.items())
    keyring = principal.collections[KEYRING]
    yield from (", ".join(keyring[name]) for name in OPENS if name)


def _topics(granted: tuple[Principal, ...]) -> Iterator[Iterator[str]]:
    for topic in TOPICS:
        yield iter([f"`{topic}`", *(", ".join(each.topics.get(topic, ())).lower() for each in granted)])


def _groups(granted: tuple[Principal, ...]) -> Iterator[tuple[str, str]]:
    return ((each.name, ", ".join(f"`{group}`" for group in each.groups)) for each in granted)
