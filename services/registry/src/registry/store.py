"""What is kept, and how it is found."""

from rapport_chassis.documents import Index
from rapport_chassis.repository import repository
from rapport_chassis.unit_of_work import UnitOfWork

from registry import rights
from registry.domain.stakeholder import Stakeholder, TakenReference


class Registry(UnitOfWork):
    """The unit of work of this service."""

    stakeholders = repository(
        "stakeholders", Stakeholder, sealed=("name", "email", "phone", "reference"), reach=rights.reach
    )
    references = repository("references", TakenReference)


INDEXES = (
    Index("stakeholders", ("region", "id")),
    Index("stakeholders", ("category", "subtype", "id")),
    Index("stakeholders", ("segment", "category", "subtype", "synthetic", "erased_on", "id")),
    Index("stakeholders", ("name_index", "id")),
)
