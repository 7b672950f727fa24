"""The services as their `main.py` puts them together, without connecting to anything."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import FastAPI
from rapport_chassis.service import Service
from rapport_events.event import Event

from rapport_cli.running.state import SERVICES


@dataclass(frozen=True, slots=True)
class House:
    """All services, in the order in which a person reads them."""

    services: tuple[Service, ...]

    @classmethod
    def load(cls) -> "House":
        """Imports the five services. Raises ImportError where one is missing."""
        return cls(tuple(importlib.import_module(f"{name}.main").SERVICE for name in SERVICES))

    def owner(self, event: type[Event]) -> Service:
        """Who emits an event. Raises LookupError where nobody does."""
        for service in self.services:
            if event in service.emits:
                return service
        raise LookupError(f"nobody emits {event.type}")

    def consumers(self, event: type[Event]) -> Iterator[tuple[str, str]]:
        """Who listens to an event: (service, name of its use case)."""
        for service in self.services:
            if event in service.consumes:
                yield service.name, service.consumes[event].__name__


def app_of(service: Service) -> FastAPI:
    """A service's HTTP API with the settings' defaults, whatever the environment says; nothing is opened."""
    return service.app(service.settings.model_construct(service=service.name))
