"""A process of a service that can be made to die, stall or fail at a chosen line: `python -m tests.faults.armed <folder> <service> api|worker`.

The services know nothing of it: the calls at which a process touches the world (MongoDB, Kafka, an answer's first byte)
are wrapped from outside. A process is armed by a file in the folder (see `Order`) and disarmed once it has fired.

Points, each `before` and `after`: `write <collection>` (any write through PyMongo; by its method too, such as
`update_many journal`), `commit`, `append` (a batch of records to Kafka), `answer` (the response of an API starts).
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import partial, wraps
from pathlib import Path
from typing import Any, Literal, Self

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from rapport_chassis import __main__ as program
from rapport_chassis import telemetry
from rapport_chassis.brokers import KafkaLog

WRITES = ("bulk_write", "insert_one", "insert_many", "update_one", "update_many", "replace_one", "delete_one")


@dataclass(slots=True)
class Order:
    """Where to fire, after how many hits, and what then.

    `kill` is -9, `freeze` is SIGSTOP; `stall` blocks the whole process for `seconds`, `delay` this call alone; `lose` loses
    the answer. A `kill` with `seconds` comes that much later, in the middle of the call.
    """

    point: str
    when: Literal["before", "after"] = "before"
    skip: int = 0
    act: Literal["kill", "freeze", "stall", "delay", "lose"] = "kill"
    seconds: float = 0.0

    def give(self, file: Path) -> None:
        staged = file.with_suffix(".staged")
        staged.write_text(json.dumps(asdict(self)))
        staged.replace(file)

    @classmethod
    def read(cls, file: Path) -> Self | None:
        try:
            return cls(**json.loads(file.read_text()))
        except FileNotFoundError:
            return None


@dataclass(slots=True)
class Trigger:
    file: Path

    def hit(self, when: str, *points: str) -> float:
        """Seconds for which the call is to be delayed."""
        order = Order.read(self.file) if self.file.exists() else None
        if order is None or order.when != when or order.point not in points:
            return 0.0
        if order.skip:
            order.skip -= 1
            order.give(self.file)
            return 0.0
        self.file.unlink()
        match order.act:
            case "kill" if order.seconds:
                asyncio.get_running_loop().call_later(order.seconds, os.kill, os.getpid(), signal.SIGKILL)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "freeze":
                os.kill(os.getpid(), signal.SIGSTOP)
            case "delay":
                return order.seconds
            case "stall":
                time.sleep(order.seconds)
            case "lose":
                raise ConnectionError("the answer was lost")
        return 0.0

    def around(
        self, call: Callable[..., Awaitable[Any]], names: Callable[..., tuple[str, ...]]
    ) -> Callable[..., Awaitable[Any]]:
        @wraps(call)
        async def wrapped(*args: Any, **options: Any) -> Any:
            points = names(*args)
            if pause := self.hit("before", *points):
                await asyncio.sleep(pause)
            result = await call(*args, **options)
            if pause := self.hit("after", *points):
                await asyncio.sleep(pause)
            return result

        return wrapped

    def set(self) -> None:
        for write in WRITES:
            names = partial(_written, write)
            setattr(AsyncCollection, write, self.around(getattr(AsyncCollection, write), names))
        committing = self.around(AsyncClientSession.commit_transaction, lambda *_: ("commit",))
        AsyncClientSession.commit_transaction = committing  # type: ignore[method-assign]
        KafkaLog.append = self.around(KafkaLog.append, lambda *_: ("append",))  # type: ignore[method-assign]
        served, trigger = telemetry.ServerSpan.__call__, self

        async def serve(span: Any, scope: Any, receive: Any, send: Any) -> None:
            async def sending(message: Any) -> None:
                if message["type"] == "http.response.start" and scope["method"] != "GET":
                    trigger.hit("before", "answer")
                await send(message)

            await served(span, scope, receive, sending)

        telemetry.ServerSpan.__call__ = serve  # type: ignore[method-assign]


def _written(method: str, collection: AsyncCollection[Any], *_: Any) -> tuple[str, str]:
    return f"write {collection.name}", f"{method} {collection.name}"


if __name__ == "__main__":
    folder, *arguments = sys.argv[1:]
    Trigger(Path(folder) / "-".join(arguments)).set()
    sys.exit(program.main(arguments))
