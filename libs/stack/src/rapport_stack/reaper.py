"""`python -m rapport_stack.reaper OWNER`: remove an owner's containers and volumes once standard input ends.

The kernel kills the processes that this package starts when their parent ends; containers are the engine's children, so
somebody has to tell it. Who kills this one too leaves containers behind until the next start of anybody (`sweep`).
"""

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Final

import docker
from docker.errors import APIError, DockerException

from rapport_stack.errors import StackError
from rapport_stack.process import alive

LABEL: Final = "rapport.stack.owner"
"""On every container and volume: host name and process of its owner."""


@contextmanager
def engine() -> Iterator[docker.DockerClient]:
    """A client of the engine. Raises StackError where none answers."""
    try:
        client = docker.from_env()
    except DockerException as error:
        raise no_engine(error) from error
    with closing(client):
        yield client


def no_engine(error: Exception) -> StackError:
    return StackError(
        f"No Docker engine answers: {error}",
        "Start Docker, or name its engine in DOCKER_HOST; or use the stack 'embedded', which needs none.",
    )


def sweep(client: docker.DockerClient) -> None:
    """Remove what owners on this machine left who are no more."""

    def forsaken(owner: str) -> bool:
        host, _, pid = owner.rpartition("/")
        return host == socket.gethostname() and not alive(int(pid))

    remove(client, forsaken)


def remove(client: docker.DockerClient, chosen: Callable[[str], bool]) -> None:
    """Remove the containers, then the volumes, of the owners chosen."""
    for container in client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True):
        if chosen(container.labels[LABEL]):
            with suppress(APIError):  # somebody else is at it
                container.remove(force=True, v=True)
    for volume in client.volumes.list(filters={"label": LABEL}):
        if chosen(volume.attrs["Labels"][LABEL]):
            with suppress(APIError):
                volume.remove()


def main(owner: str) -> None:
    sys.stdin.buffer.read()
    with engine() as client:
        remove(client, owner.__eq__)


if __name__ == "__main__":
    main(sys.argv[1])
