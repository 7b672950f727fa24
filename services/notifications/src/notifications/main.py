"""What people were told: subscriptions, messages, receipts."""

from rapport_chassis.service import Service

from notifications import contract, store
from notifications.api import ERRORS, routes
from notifications.delivery import deliver
from notifications.settings import Settings

SERVICE = Service(
    name="notifications",
    unit=store.Notifications,
    settings=Settings,
    routes=(routes,),
    errors=ERRORS,
    indexes=store.INDEXES,
    emits=contract.EMITS,
    consumes=contract.CONSUMES,
    loops=(deliver,),
)


def api() -> None:
    SERVICE.api()


def worker() -> None:
    SERVICE.worker()
