"""A stakeholder was erased: what it said under its name stays as coded answers that lead to nobody."""

from rapport_events.registry import StakeholderErased

from feedback.domain.respondent import Respondent
from feedback.usecases import Unit


async def withdraw_responses(event: StakeholderErased, unit: Unit) -> None:
    """Unlink all responses of the stakeholder. Its comments were sealed under its key, which is gone."""
    unit.forget(event.stakeholder_id)
    respondent = await unit.respondents.get(event.stakeholder_id)
    if respondent is None:
        respondent = Respondent(id=event.stakeholder_id)
        unit.respondents.add(respondent)
    respondent.erased = True
    unit.respondents.save(respondent)
    for response in await unit.responses.find({"stakeholder_id": event.stakeholder_id}):
        response.unlink()
        unit.responses.save(response)
