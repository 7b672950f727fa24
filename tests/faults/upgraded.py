"""A worker of the release after next: `python -m tests.faults.upgraded <service> worker`.

In it, `registry.stakeholder.amended` has come to version 3. Version 2 gave a list of regions instead of one; version 3
gives one again, under another name. What the service does with the event is what it does today.
"""

import importlib
import sys
from dataclasses import replace
from typing import Any

from rapport_chassis.service import Service
from rapport_events.catalog import CATALOG
from rapport_events.registry import StakeholderAmended
from rapport_events.upcast import UPCASTERS

FAMILY = StakeholderAmended.family


class AmendedInRegions(StakeholderAmended):
    """As the next release will tell it; a worker of today must park it."""

    type = f"{FAMILY}.v2"
    regions: tuple[str, ...]


class Amended(StakeholderAmended):
    type = f"{FAMILY}.v3"
    area: str | None


def to_regions(data: dict[str, Any]) -> dict[str, Any]:
    """From version 1 to 2."""
    return {**data, "regions": [data.pop("region", None)]}


def to_area(data: dict[str, Any]) -> dict[str, Any]:
    """From version 2 to 3."""
    return {**data, "area": data.pop("regions")[0]}


def upgrade(service: Service) -> Service:
    """The same service, reading version 3; the catalogue of this process knows it too."""
    newest = [Amended if event is StakeholderAmended else event for event in CATALOG.events.values()]
    partitions = {topic.name: topic.partitions for topic in CATALOG.topics.values()}
    CATALOG.__init__(newest, {**UPCASTERS, (FAMILY, 1): to_regions, (FAMILY, 2): to_area}, partitions)  # type: ignore[misc]
    today = service.consumes[StakeholderAmended]

    async def note(event: Amended, unit: Any) -> None:
        await today(event.model_copy(update={"region": event.area}), unit)

    consumes = {event: handler for event, handler in service.consumes.items() if event is not StakeholderAmended}
    return replace(service, consumes={**consumes, Amended: note})


if __name__ == "__main__":
    name, half = sys.argv[1:]
    getattr(upgrade(importlib.import_module(f"{name}.main").SERVICE), half)()
