"""Imports every module of the packages named as arguments and reports what that did, as JSON: a program of its own.

Opened sockets, started processes and written files are heard by an audit hook. What is noted is our own doing:
libraries may look at their environment, and try out what the machine can.
"""

import json
import os
import pkgutil
import sys
import threading
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

FORBIDDEN = (
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "subprocess.Popen",
    "os.fork",
    "os.posix_spawn",
    "os.putenv",
    "os.mkdir",
    "os.remove",
)
PROGRAMS = {"__main__", "rapport_stack.tether"}
"""Modules that are programs: importing them is running them."""

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND

found: list[str] = []
packages = sys.argv[1:]


def listen(event: str, arguments: tuple[Any, ...]) -> None:
    if event in FORBIDDEN:
        note(event)
    elif event == "open" and isinstance(arguments[0], str) and isinstance(arguments[2], int) and arguments[2] & WRITING:
        note(f"writes {arguments[0]}")


def note(what: str) -> None:
    """Ours is what reaches a frame of ours before it reaches the import of a library.

    Pydantic looks for its plugins whenever a class is made, and rich at the terminal when a console is: their affair.
    """
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(("importlib", "pydantic.plugin", "rich.")):
            return
        if module.partition(".")[0] in packages:
            found.append(f"{module}: {what}")
            return
        frame = frame.f_back


class Watched(dict[str, str]):
    """The environment, with an eye on who reads it."""

    def __getitem__(self, name: str) -> str:
        note(f"reads {name}")
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        note(f"reads {name}")
        return super().get(name, default)

    def items(self) -> Any:
        note("reads the environment")
        return super().items()

    def __contains__(self, name: object) -> bool:
        note(f"reads {name}")
        return super().__contains__(name)

    def __iter__(self) -> Iterator[str]:
        note("reads the environment")
        return super().__iter__()


def modules() -> Iterator[str]:
    for package in packages:
        yield package
        for each in pkgutil.walk_packages(import_module(package).__path__, f"{package}."):
            if each.name not in PROGRAMS and each.name.rpartition(".")[2] not in PROGRAMS:
                yield each.name


def start(thread: threading.Thread, begin: Any = threading.Thread.start) -> None:
    """Python 3.11 tells no audit hook of threads."""
    note("starts a thread")
    begin(thread)


threading.Thread.start = start  # type: ignore[method-assign,assignment]
os.environ = Watched(os.environ)  # type: ignore[assignment]  # noqa: B003 - that is what is watched
sys.addaudithook(listen)
imported = []
for name in modules():
    import_module(name)
    imported.append(name)
json.dump({"imported": imported, "found": found}, sys.stdout)
