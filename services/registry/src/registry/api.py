"""The HTTP surface. Who is not an engagement officer sees facts, and no names or addresses."""

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any, Self

from fastapi import Path
from fastapi import Query as QueryParameter
from pydantic import BaseModel, Field, SerializeAsAny
from rapport_chassis.http import (
    Caller,
    CursorParameter,
    IdempotencyKey,
    IfMatch,
    Limit,
    Page,
    Query,
    Response,
    Routes,
    Run,
    allow,
    cursor_of,
    place_of,
)

from registry.domain.consent import (
    Channel,
    ConsentInFuture,
    ConsentNeverGranted,
    ConsentWithdrawnSince,
    Proof,
    Purpose,
)
from registry.domain.name import NameTooShort
from registry.domain.reference import Reference, SubtypeOfAnotherCategory, UnknownCode, reference
from registry.domain.stakeholder import Kind, ReferenceTaken, Stakeholder, StakeholderGone, StakeholderNotFound
from registry.rights import OFFICER, IdentitiesHidden, sees_identities
from registry.usecases import Code, Id
from registry.usecases.amend_stakeholder import Amendment, AmendStakeholder, amend_stakeholder
from registry.usecases.count_segments import CountSegments, SegmentCounts, count_segments
from registry.usecases.erase_person import erase_person
from registry.usecases.grant_consent import Agreement, GrantConsent, grant_consent
from registry.usecases.read_reference import ReadReference, read_reference
from registry.usecases.read_stakeholder import read_stakeholder
from registry.usecases.register_stakeholder import RegisterStakeholder, register_stakeholder
from registry.usecases.search_stakeholders import SearchStakeholders, search_stakeholders
from registry.usecases.withdraw_consent import WithdrawConsent, withdraw_consent

ERRORS = {
    StakeholderNotFound: 404,
    StakeholderGone: 410,
    ReferenceTaken: 409,
    UnknownCode: 422,
    SubtypeOfAnotherCategory: 422,
    NameTooShort: 422,
    ConsentNeverGranted: 404,
    ConsentWithdrawnSince: 409,
    ConsentInFuture: 422,
    IdentitiesHidden: 403,
}

WRITERS = allow(OFFICER)
READERS = allow(OFFICER, "researcher", "analyst", "auditor", "director")
EVERY_ROLE = allow(OFFICER, "researcher", "collector", "analyst", "operator", "auditor", "director")

routes = Routes(tags=["stakeholders"])

StakeholderId = Annotated[Id, Path(description="Stakeholder")]
NamePart = Annotated[
    str, QueryParameter(max_length=200, description="Beginnings of words of 2 to 12 letters; all must fit")
]


class ConsentView(BaseModel):
    purpose: Purpose
    channel: Channel
    proof: Proof
    granted_at: datetime
    withdrawn_at: datetime | None
    withdrawal_proof: Proof | None


class FactsView(BaseModel):
    """Where a stakeholder stands and what it agreed to, without who it is. What a write answers, whoever wrote."""

    id: str
    version: int = Field(description="Also the ETag")
    kind: Kind
    category: str | None = Field(description="Null once it was erased")
    subtype: str | None
    internal: bool | None = Field(description="Staff: never in a survey's denominator")
    segment: str | None = Field(description="Survey segment by the cross-walk; null: unmapped, never guessed")
    region: str | None
    confidence_groups: tuple[str, ...]
    taxonomy_version: int = Field(description="Version of the reference data it was coded with")
    consents: tuple[ConsentView, ...]
    synthetic: bool
    registered_on: date
    erased_on: date | None

    @classmethod
    def of(cls, stakeholder: Stakeholder) -> Self:
        category = reference().categories.get(stakeholder.category or "")
        return cls(**{**asdict(stakeholder), "internal": category.internal if category else None})


class StakeholderView(FactsView):
    """With name and contacts; "erased" is all that is left of an erased one's name."""

    name: str
    email: str | None
    phone: str | None
    reference: str | None


def seen_by(caller: Caller) -> type[FactsView]:
    """What this caller may see of a stakeholder."""
    return StakeholderView if sees_identities(caller) else FactsView


@routes.post("/stakeholders", access=WRITERS, limit="registering", view=FactsView, problems=(409,))
async def register(command: RegisterStakeholder, run: Run, _key: IdempotencyKey) -> Response:
    """Register a person, an organisation or a community of interest."""
    return await run(register_stakeholder, command, view=FactsView.of)


@routes.get("/stakeholders", access=READERS, view=Page[StakeholderView | FactsView])
async def search(  # noqa: PLR0917 - what one can search by
    query: Query,
    caller: Caller,
    region: Code | None = None,
    category: Code | None = None,
    subtype: Code | None = None,
    segment: Code | None = None,
    kind: Kind | None = None,
    name: NamePart | None = None,
    synthetic: bool | None = None,  # noqa: FBT001 - a query parameter
    limit: Limit = 50,
    cursor: CursorParameter = None,
) -> Response:
    """Who fits all that is named. `segment=unmapped` lists those without a survey segment; `name` is for officers."""
    filters: dict[str, Any] = {
        "region": region,
        "category": category,
        "subtype": subtype,
        "segment": segment,
        "kind": kind,
        "name": name,
        "synthetic": synthetic,
    }
    place = place_of(cursor, filters, 1)
    question = SearchStakeholders(**filters, after=place[0] if place else None, limit=limit + 1)

    def page(found: list[Stakeholder]) -> Page[SerializeAsAny[FactsView]]:
        more = cursor_of((found[limit - 1].id,), filters) if len(found) > limit else None
        return Page[SerializeAsAny[FactsView]](
            items=[seen_by(caller).of(stakeholder) for stakeholder in found[:limit]], next=more
        )

    return await query(search_stakeholders, question, view=page)


@routes.get("/stakeholders/{id}", access=READERS, view=StakeholderView | FactsView, problems=(404, 410))
async def read(id: StakeholderId, query: Query, caller: Caller) -> Response:  # noqa: A002 - as in the path
    """A stakeholder; 410 once it was erased."""
    return await query(read_stakeholder, id, view=seen_by(caller).of)


@routes.patch("/stakeholders/{id}", access=WRITERS, view=FactsView, problems=(404, 410, 412, 428))
async def amend(id: StakeholderId, amendment: Amendment, run: Run, if_match: IfMatch) -> Response:  # noqa: A002
    """Amend what is known; what is absent stays, null means not known."""
    command = AmendStakeholder(stakeholder_id=id, amendment=amendment)
    return await run(amend_stakeholder, command, view=FactsView.of, expect={id: if_match})


@routes.delete("/stakeholders/{id}", access=WRITERS, view=FactsView, problems=(404,))
async def erase(id: StakeholderId, run: Run) -> Response:  # noqa: A002 - as in the path
    """Erase for good: the key is destroyed, and what is left says nothing of whom. Needs no If-Match: a wish is a wish."""
    return await run(erase_person, id, view=FactsView.of)


@routes.post("/stakeholders/{id}/consents", access=WRITERS, status=200, view=FactsView, problems=(404, 409, 410))
async def grant(id: StakeholderId, agreement: Agreement, run: Run) -> Response:  # noqa: A002 - as in the path
    """Note an agreement. One that stands already keeps its date and proof: asking twice is asking once."""
    return await run(grant_consent, GrantConsent(stakeholder_id=id, agreement=agreement), view=FactsView.of)


@routes.delete("/stakeholders/{id}/consents/{purpose}/{channel}", access=WRITERS, view=FactsView, problems=(404, 410))
async def withdraw(
    id: StakeholderId,  # noqa: A002 - as in the path
    purpose: Purpose,
    channel: Channel,
    proof: Proof,
    run: Run,
) -> Response:
    """Take an agreement back; `proof` says how it was said. Needs no If-Match: nothing may stand in its way."""
    command = WithdrawConsent(stakeholder_id=id, purpose=purpose, channel=channel, proof=proof)
    return await run(withdraw_consent, command, view=FactsView.of)


@routes.get("/reference", access=EVERY_ROLE, view=Reference)
async def reference_data(query: Query) -> Response:
    """Categories, subtypes, segments with the cross-walk's grounds, regions, groups of low confidence; with versions."""
    return await query(read_reference, ReadReference())


@routes.get("/segments", access=READERS, view=SegmentCounts)
async def segments(query: Query, *, synthetic: bool = False) -> Response:
    """Stakeholders per survey segment, and whom the cross-walk leaves without one."""
    return await query(count_segments, CountSegments(synthetic=synthetic))
