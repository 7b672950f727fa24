"""Note that a stakeholder agrees to be reached for a purpose on a channel."""

from pydantic import Field
from rapport_events.registry import ConsentGranted
from rapport_ports import Command

from registry.domain.stakeholder import Stakeholder
from registry.usecases import ConsentChannel, ConsentProof, ConsentPurpose, Id, Moment, Unit
from registry.usecases.read_stakeholder import read_stakeholder


class Agreement(Command):
    purpose: ConsentPurpose
    channel: ConsentChannel
    proof: ConsentProof = Field(description="How it was given")
    granted_at: Moment | None = Field(default=None, description="When it was given; absent: now")


class GrantConsent(Command):
    stakeholder_id: Id
    agreement: Agreement


async def grant_consent(command: GrantConsent, unit: Unit) -> Stakeholder:
    """Granting what stands already changes nothing and tells nothing.

    Raises StakeholderNotFound, StakeholderGone, ConsentInFuture, ConsentWithdrawnSince.
    """
    stakeholder = await read_stakeholder(command.stakeholder_id, unit)
    given = command.agreement
    granted_at = given.granted_at or unit.now
    if stakeholder.grant(given.purpose, given.channel, given.proof, granted_at, unit.now):
        unit.stakeholders.save(stakeholder)
        unit.emit(
            ConsentGranted(
                stakeholder_id=stakeholder.id,
                purpose=given.purpose,
                channel=given.channel,
                proof=given.proof,
                granted_at=granted_at,
            ),
        )
    return stakeholder
