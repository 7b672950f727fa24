"""Feedback: what they told us."""

from rapport_chassis.service import Service
from rapport_chassis.settings import ServiceSettings

from feedback import api as surface
from feedback import contract, store

SERVICE = Service(
    name="feedback",
    description="What they told us: instruments, waves, responses",
    unit=store.Feedback,
    settings=ServiceSettings,
    routes=(surface.routes,),
    errors=surface.ERRORS,
    indexes=store.INDEXES,
    emits=contract.EMITS,
    consumes=contract.CONSUMES,
)


def api() -> None:
    SERVICE.api()


def worker() -> None:
    SERVICE.worker()
