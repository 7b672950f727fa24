"""`python -m rapport_chassis <service> api|worker` runs one process of a service."""

import importlib
import sys

from pydantic import ValidationError
from pymongo.errors import PyMongoError

from rapport_chassis.runtime import SettingsError

USAGE = "usage: python -m rapport_chassis <service> api|worker"


def main(arguments: list[str]) -> str | None:
    """Exit message, None when all went well."""
    match arguments:
        case [name, ("api" | "worker") as process]:
            try:
                module = importlib.import_module(f"{name}.main")
            except ModuleNotFoundError as error:
                return f"there is no service {name} ({error.name} is not installed)"
            try:
                getattr(module, process)()
            except (SettingsError, ValidationError) as error:
                return f"{name} {process}: settings: {error}"
            except PyMongoError as error:
                return f"{name} {process}: MongoDB at RAPPORT_MONGO_URI cannot be used: {type(error).__name__}"
            return None
        case _:
            return USAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
