"""MongoDB's users and roles: what each principal may do, written where it is not written yet."""

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import OperationFailure

from rapport_stack.principals import ADMINISTRATOR, Credentials, Principal, principals_text

INTERNAL: Final = "__system"
"""As whom members of a replica set know each other, by the key file: there before any user is."""

KEY: Final = "mongod"
"""The name under which the key file's content is among the credentials."""

USER_NOT_FOUND: Final = 11
ROLE_NOT_FOUND: Final = 31
MECHANISM: Final = "SCRAM-SHA-256"

AUTHENTICATED: Final[Mapping[str, str]] = {"enableLocalhostAuthBypass": "false"}
"""Server parameters: without users there is no door either, not even on this machine."""


def client_of_key(host: str, key: str, **options: Any) -> MongoClient[dict[str, Any]]:
    """A client of one member as the replica set itself."""
    identity: dict[str, Any] = {
        "username": INTERNAL,
        "password": key,
        "authSource": "local",
        "authMechanism": MECHANISM,
    }
    return MongoClient(host, directConnection=True, **identity, **options)


def uri_as(uri: str, name: str, password: str) -> str:
    """A connection string for somebody, whoever it was for: users are in `admin`, where drivers look for them."""
    return without_user(uri).replace("://", f"://{quote(name)}:{quote(password)}@", 1)


def without_user(uri: str) -> str:
    """A connection string that may be shown."""
    scheme, mark, rest = uri.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"


def grant(client: MongoClient[dict[str, Any]], principals: Sequence[Principal], credentials: Credentials) -> None:
    """Let the server's users and roles be these and the administrator. Raises PyMongoError.

    Each user is marked with what was granted, the administrator last: where its mark fits, everything is as it should be.
    """
    names = [each.name for each in principals]
    told = "".join([principals_text(principals), *(credentials.password(n) for n in (ADMINISTRATOR, *names))])
    mark = hmac.new(credentials.password(KEY).encode(), told.encode(), hashlib.sha256).hexdigest()
    database = client.admin
    marks = {
        user["user"]: user["customData"]["granted"]
        for user in database.command("usersInfo")["users"]
        if "granted" in user.get("customData", {})
    }
    if marks.get(ADMINISTRATOR) == mark:
        return
    for each in principals:
        _put(database, "Role", each.name, ROLE_NOT_FOUND, privileges=list(_privileges(each)), roles=_roles(each))
    for name, role in [*zip(names, names, strict=True), (ADMINISTRATOR, "root")]:
        _put(
            database,
            "User",
            name,
            USER_NOT_FOUND,
            pwd=credentials.password(name),
            roles=[role],
            mechanisms=[MECHANISM],
            customData={"granted": mark},
        )
    for gone in marks.keys() - set(names) - {ADMINISTRATOR}:
        database.command("dropUser", gone)
        database.command("dropRole", gone)


def _put(database: Database[dict[str, Any]], kind: str, name: str, missing: int, **content: Any) -> None:
    try:
        database.command(f"update{kind}", name, **content)
    except OperationFailure as error:
        if error.code != missing:
            raise
        database.command(f"create{kind}", name, **content)


def _roles(principal: Principal) -> list[dict[str, str]]:
    return [{"db": database, "role": role} for database, role in principal.databases.items()]


def _privileges(principal: Principal) -> Iterator[dict[str, Any]]:
    for database, collections in principal.collections.items():
        for collection, actions in collections.items():
            yield {"resource": {"db": database, "collection": collection}, "actions": list(actions)}
