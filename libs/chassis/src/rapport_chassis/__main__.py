"""`python -m rapport_chassis <service> api|worker` runs one process of a service; `… rebuild` makes its projection anew."""

import importlib
import json
import sys
from typing import Any

from aiokafka.errors import KafkaError
from pydantic import ValidationError
from pymongo.errors import PyMongoError

from rapport_chassis.rebuild import Wish
from rapport_chassis.runtime import SettingsError

USAGE = "usage: python -m rapport_chassis <service> api|worker|rebuild [--dry-run|--accept-differences|--drop-old]"


def main(arguments: list[str]) -> str | None:
    """Exit message, None when all went well."""
    match arguments:
        case [name, ("api" | "worker") as process]:
            return _of(name, process, lambda module: getattr(module, process)())
        case [name, "rebuild"]:
            return _of(name, "rebuild", lambda module: _rebuild(module.SERVICE, Wish()))
        case [name, "rebuild", "--dry-run"]:
            return _of(name, "rebuild", lambda module: _rebuild(module.SERVICE, Wish(compare_only=True)))
        case [name, "rebuild", "--accept-differences"]:
            return _of(name, "rebuild", lambda module: _rebuild(module.SERVICE, Wish(accept=True)))
        case [name, "rebuild", "--drop-old"]:
            return _of(name, "rebuild", lambda module: _say({"dropped": module.SERVICE.drop_old(_say)}))
        case _:
            return USAGE


def _of(name: str, process: str, work: Any) -> str | None:
    try:
        module = importlib.import_module(f"{name}.main")
    except ModuleNotFoundError as error:
        return f"there is no service {name} ({error.name} is not installed)"
    try:
        outcome: str | None = work(module)
    except (SettingsError, ValidationError) as error:
        return f"{name} {process}: settings: {error}"
    except PyMongoError as error:
        return f"{name} {process}: MongoDB at RAPPORT_MONGO_URI cannot be used: {type(error).__name__}"
    return outcome


def _rebuild(service: Any, wish: Wish) -> str | None:
    """Tells on standard output, a JSON object a line; the last one is the outcome."""
    try:
        outcome = service.rebuild(wish, _say)
    except (ValueError, KafkaError) as error:
        return f"{service.name} rebuild: {type(error).__name__}: {error}"
    _say(
        {
            "state": outcome.state,
            "generation": outcome.generation,
            "events": outcome.events,
            "differences": outcome.differences,
        }
    )
    return f"{outcome.differences} differences" if outcome.state == "differs" else None


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what, default=str) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
