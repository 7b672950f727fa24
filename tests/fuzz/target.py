"""What every target has in common: it is a program that libFuzzer drives, and it reads streams without an event loop."""

import sys
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import atheris

T = TypeVar("T")


def drive(one: Callable[[bytes], None]) -> None:
    """Try inputs until the time is over; whatever `one` lets through is a crash, and its input a file."""
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def all_of(stream: AsyncIterator[T]) -> list[T]:
    """Everything a stream gives that waits for nothing."""
    found: list[T] = []

    async def collect() -> None:
        found.extend([each async for each in stream])

    try:
        collect().send(None)
    except StopIteration:
        return found
    raise AssertionError("it waited")
