"""Every family of faults, by importing it."""

from types import ModuleType

from tests.faults import brokers, consumer, mongodb, processes, records, relay

FAMILIES: tuple[ModuleType, ...] = (processes, relay, consumer, records, brokers, mongodb)
