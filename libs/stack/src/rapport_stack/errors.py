"""What can keep a real server from starting, as a cause and a cure that a person can act on."""

import re
import signal
from typing import Final

LIBRARY_PACKAGES: Final = {
    "libcurl.so.4": "libcurl4",
    "libssl.so.3": "libssl3",
    "libcrypto.so.3": "libssl3",
    "liblzma.so.5": "liblzma5",
    "libresolv.so.2": "libc6",
    "libm.so.6": "libc6",
    "libc.so.6": "libc6",
    "libgcc_s.so.1": "libgcc-s1",
    "libstdc++.so.6": "libstdc++6",
    "libz.so.1": "zlib1g",
}
"""Debian and Ubuntu packages of the libraries that the servers load at start."""


class StackError(Exception):
    """A part of the stack cannot run.

    Attributes:
        cause: what is wrong, in one sentence.
        cure: what to do about it.
    """

    def __init__(self, cause: str, cure: str) -> None:
        super().__init__(f"{cause}\n{cure}")
        self.cause = cause
        self.cure = cure


class PortTakenError(StackError):
    """A server could not listen because another program has the port."""


MISSING_LIBRARY: Final = re.compile(r"error while loading shared libraries: ([^:\s]+)")
OLD_C_LIBRARY: Final = re.compile(r"version `(GLIBC\w*_[\d.]+)' not found")
TAKEN: Final = re.compile(r"Address already in use", re.IGNORECASE)
DISK_FULL: Final = re.compile(r"No space left on device", re.IGNORECASE)


def diagnose(server: str, returncode: int, said: str, log: str) -> StackError:
    """Turn the end of a server into the error a person needs.

    Args:
        server: the server's name for people, such as "mongod 1".
        returncode: of the process; negative is the signal that ended it.
        said: the end of what it wrote.
        log: where the rest of it is.
    """
    if library := MISSING_LIBRARY.search(said):
        error = _missing_library(server, library.group(1))
    elif symbol := OLD_C_LIBRARY.search(said):
        error = StackError(
            f"{server} needs a newer C library ({symbol.group(1)}) than this system has.",
            "Use a system as new as Debian 12 or Ubuntu 22.04, set MONGOD_BIN, or use the stack 'external'.",
        )
    elif returncode in (-signal.SIGILL, 128 + signal.SIGILL):
        error = StackError(
            f"{server} met an instruction that this processor does not have (MongoDB needs AVX).",
            "Set MONGOD_BIN to a mongod built for this processor, or use the stack 'external'.",
        )
    elif TAKEN.search(said):
        error = PortTakenError(
            f"{server} cannot listen: another program has its port.",
            "Stop that program, choose another port, or leave the choice to the stack.",
        )
    elif DISK_FULL.search(said):
        error = disk_full(f"what {server} stores")
    elif returncode == -signal.SIGKILL:
        error = StackError(
            f"{server} was killed from outside while it started.",
            "Free some memory if the kernel did it (see dmesg), and start again.",
        )
    else:
        last = "\n".join(said.strip().splitlines()[-5:])
        error = StackError(f"{server} ended with code {returncode} while it started:\n{last}", f"Its whole log: {log}")
    return error


def _missing_library(server: str, library: str) -> StackError:
    package = LIBRARY_PACKAGES.get(library)
    install = f"apt-get install {package}" if package else f"find its package with apt-file search {library}"
    other = ", or set MONGOD_BIN to a mongod that runs here" if server.startswith("mongod") else ""
    return StackError(
        f"{server} needs the shared library {library}, which this system does not have.",
        f"To mend it: {install}{other}.",
    )


def disk_full(doing: str) -> StackError:
    """The error for a full disk met by this package itself."""
    return StackError(f"The disk is full: {doing} could not be written.", "Free some space and start again.")
