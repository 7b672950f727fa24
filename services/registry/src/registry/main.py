"""The registry: who the stakeholders are, and under what agreement."""

from rapport_chassis.service import Service
from rapport_chassis.settings import ServiceSettings

from registry import api as surface
from registry import contract, imports, store

SERVICE = Service(
    name="registry",
    description="Who the stakeholders are, and under what agreement",
    unit=store.Registry,
    settings=ServiceSettings,
    routes=(surface.routes, imports.routes),
    errors={**surface.ERRORS, **imports.ERRORS},
    indexes=store.INDEXES,
    emits=contract.EMITS,
)


def api() -> None:
    SERVICE.api()


def worker() -> None:
    SERVICE.worker()
