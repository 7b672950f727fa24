"""Kafka's principals: who they are, in a broker's properties, and what they may do, told to a running one."""

import io
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from aiokafka.protocol.admin import (
    CreateAclsRequest_v1,
    DeleteAclsRequest_v1,
    DescribeAclsRequest_v1,
    SaslAuthenticateRequest_v0,
    SaslHandShakeRequest_v1,
)
from aiokafka.protocol.metadata import MetadataRequest_v5

from rapport_stack import ports
from rapport_stack.principals import ADMINISTRATOR, Credentials, Principal

MECHANISM: Final = "PLAIN"
"""Known to a broker before it starts, and after it has lost everything; TLS below it is an installation's business."""

ANY: Final = 1
LITERAL: Final = 3
ALLOW: Final = 3
TOPIC: Final = 2
GROUP: Final = 3
OPERATIONS: Final[Mapping[str, int]] = {"Read": 3, "Write": 4, "Create": 5}
"""Numbers of the protocol (org.apache.kafka.common.acl); to read or to write is to describe, too."""


class Acl(NamedTuple):
    """Something that is allowed, as the protocol numbers it."""

    kind: int
    name: str
    pattern: int
    principal: str
    host: str
    operation: int
    permission: int


def access_properties(listeners: Mapping[str, Sequence[Principal]], credentials: Credentials) -> dict[str, object]:
    """Properties of a broker whose listeners, the first of them that of brokers, know these and the administrator."""
    inside = next(iter(listeners))
    return {
        "listener.security.protocol.map": ",".join(f"{listener}:SASL_PLAINTEXT" for listener in listeners),
        "inter.broker.listener.name": inside,
        "sasl.enabled.mechanisms": MECHANISM,
        "sasl.mechanism.inter.broker.protocol": MECHANISM,
        "sasl.mechanism.controller.protocol": MECHANISM,
        **{
            f"listener.name.{listener.lower()}.plain.sasl.jaas.config": _jaas(known, credentials)
            for listener, known in listeners.items()
        },
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": f"User:{ADMINISTRATOR}",
    }


def _jaas(principals: Iterable[Principal], credentials: Credentials) -> str:
    own = credentials.password(ADMINISTRATOR)
    names = [ADMINISTRATOR, *(each.name for each in principals)]
    users = " ".join(f'user_{name}="{credentials.password(name)}"' for name in names)
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    return f'{module} required username="{ADMINISTRATOR}" password="{own}" {users};'


def acls(principals: Iterable[Principal]) -> Iterator[Acl]:
    """Everything that they may do."""
    for each in principals:
        for topic, operations in each.topics.items():
            for operation in operations:
                yield Acl(TOPIC, topic, LITERAL, f"User:{each.name}", "*", OPERATIONS[operation], ALLOW)
        for group in each.groups:
            yield Acl(GROUP, group, LITERAL, f"User:{each.name}", "*", OPERATIONS["Read"], ALLOW)


class Broker:
    """A connection to one broker, as somebody or, without a name, as nobody.

    Without asyncio, because servers are started from inside and outside of event loops alike.

    Raises:
        OSError: it does not answer, or does not know us.
    """

    def __init__(self, port: int, name: str = "", password: str = "", host: str = ports.LOOPBACK) -> None:
        self._socket = socket.create_connection((host, port), timeout=5)
        self._reader = self._socket.makefile("rb")
        try:
            if name:
                self._authenticate(name, password)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it; whoever uses `with` need not."""
        self._reader.close()
        self._socket.close()

    def ask(self, request: Any) -> Any:
        """The answer to one of aiokafka's request structures."""
        message = request.build_request_header(0, "rapport-stack").encode() + request.encode()
        self._socket.sendall(struct.pack(">i", len(message)) + message)
        head = self._reader.read(8)
        if len(head) < 8:  # noqa: PLR2004 - size and correlation id
            raise ConnectionError("the broker closed the connection")
        (size, _correlation) = struct.unpack(">ii", head)
        return request.RESPONSE_TYPE.decode(io.BytesIO(self._reader.read(size - 4)))

    def metadata(self) -> Any:
        """Who is in its cluster: aiokafka's MetadataResponse_v5, with `brokers`, `cluster_id`, `controller_id`."""
        return self.ask(MetadataRequest_v5([], False))

    def acls(self) -> set[Acl]:
        """What this broker knows to be allowed."""
        answer = self.ask(DescribeAclsRequest_v1(ANY, None, ANY, None, None, ANY, ANY))
        if answer.error_code:
            raise ConnectionError(f"error {answer.error_code}: {answer.error_message}")
        return {
            Acl(kind, name, pattern, *each) for kind, name, pattern, allowed in answer.resources for each in allowed
        }

    def grant(self, principals: Iterable[Principal]) -> bool:
        """Let what is allowed be what these may do; False while this broker has not heard of it all."""
        wanted = set(acls(principals))
        known = self.acls()
        if missing := sorted(wanted - known):
            self.ask(CreateAclsRequest_v1([tuple(each) for each in missing]))
        if more := sorted(known - wanted):
            self.ask(DeleteAclsRequest_v1([tuple(each) for each in more]))
        return wanted == known

    def _authenticate(self, name: str, password: str) -> None:
        refused = self.ask(SaslHandShakeRequest_v1(MECHANISM)).error_code
        token = f"\0{name}\0{password}".encode()
        if refused or (refused := self.ask(SaslAuthenticateRequest_v0(token)).error_code):
            raise ConnectionError(f"the broker does not know {name}: error {refused}")


def connection(bootstrap: str, name: str, password: str, mechanism: str = MECHANISM) -> dict[str, Any]:
    """aiokafka's arguments to connect as somebody; as nobody without a name."""
    arguments: dict[str, Any] = {"bootstrap_servers": bootstrap.split(",")}
    if name:
        arguments |= {
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": mechanism,
            "sasl_plain_username": name,
            "sasl_plain_password": password,
        }
    return arguments
