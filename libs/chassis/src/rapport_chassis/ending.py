"""Ending tasks that run for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterable

log = structlog.get_logger(__name__)

AGAIN: Final = 0.5
"""Seconds after which a task is cancelled once more."""


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, as often as it takes, and wait until they have ended. Tells of errors, raises none.

    Once is not enough: `asyncio.wait_for` of Python 3.11, which PyMongo uses, forgets a cancellation that comes just as
    what it waits for is there (python/cpython#86296). A task that runs for ever would go on, and so would its process.
    """
    waiting = set(tasks)
    while waiting:
        for task in waiting:
            task.cancel()
        done, waiting = await asyncio.wait(waiting, timeout=AGAIN)
        for task in done:
            if not task.cancelled() and (error := task.exception()) is not None:
                log.warning("a task had failed", task=task.get_name(), error=type(error).__name__)
