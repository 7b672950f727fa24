"""The whole wiring of the measures service."""

from rapport_chassis.service import Service
from rapport_chassis.settings import ServiceSettings

from measures import api as http
from measures import contract, store

SERVICE = Service(
    name="measures",
    description="What it amounts to: figures that say no more than their data can carry.",
    unit=store.Measures,
    settings=ServiceSettings,
    routes=http.ROUTES,
    errors=http.ERRORS,
    indexes=store.INDEXES,
    emits=contract.EMITS,
    consumes=contract.CONSUMES,
    after_batch=contract.AFTER_BATCH,
    projection=store.PROJECTION,
)

api = SERVICE.api
worker = SERVICE.worker
