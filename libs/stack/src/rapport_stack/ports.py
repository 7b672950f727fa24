"""Free TCP ports of the loopback interface."""

import random
import socket
from pathlib import Path
from typing import Final

LOOPBACK: Final = "127.0.0.1"
FIRST: Final = 20_000
EPHEMERAL: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: leave TIME_WAIT alone
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def is_open(port: int) -> bool:
    """Whether something listens on the port."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def choose(count: int) -> list[int]:
    """Ports that are free now.

    Below the range that the kernel lends to outgoing connections: while a server is down, its port must not
    go to a client, nor a client that keeps connecting to it be connected to itself.
    """
    last = int(EPHEMERAL.read_text().split()[0]) if EPHEMERAL.exists() else 32_768
    candidates = list(range(FIRST, max(last, FIRST + 1_000)))
    random.SystemRandom().shuffle(candidates)
    free = (port for port in candidates if is_free(port))
    return [next(free) for _ in range(count)]
