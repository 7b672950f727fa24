"""The whole wiring of the engagement service."""

from rapport_chassis.service import Service
from rapport_chassis.settings import ServiceSettings

from engagement import api as http
from engagement import contract, store
from engagement.usecases.break_overdue_promises import break_overdue_promises

SERVICE = Service(
    name="engagement",
    description="What was done with stakeholders, what they were promised, and whether it was kept.",
    unit=store.Engagement,
    settings=ServiceSettings,
    routes=http.ROUTES,
    errors=http.ERRORS,
    indexes=store.INDEXES,
    emits=contract.EMITS,
    consumes=contract.CONSUMES,
    clocks={break_overdue_promises: 5.0},
)

api = SERVICE.api
worker = SERVICE.worker
