"""Note that a stakeholder no longer agrees to be reached for a purpose on a channel."""

from rapport_events.registry import ConsentWithdrawn
from rapport_ports import Command

from registry.domain.stakeholder import Stakeholder
from registry.usecases import ConsentChannel, ConsentProof, ConsentPurpose, Id, Unit
from registry.usecases.read_stakeholder import read_stakeholder


class WithdrawConsent(Command):
    stakeholder_id: Id
    purpose: ConsentPurpose
    channel: ConsentChannel
    proof: ConsentProof


async def withdraw_consent(command: WithdrawConsent, unit: Unit) -> Stakeholder:
    """Withdrawing twice changes nothing and tells nothing. Raises StakeholderNotFound, StakeholderGone, ConsentNeverGranted."""
    stakeholder = await read_stakeholder(command.stakeholder_id, unit)
    if stakeholder.withdraw(command.purpose, command.channel, command.proof, unit.now):
        unit.stakeholders.save(stakeholder)
        unit.emit(
            ConsentWithdrawn(
                stakeholder_id=stakeholder.id,
                purpose=command.purpose,
                channel=command.channel,
                withdrawn_at=unit.now,
            ),
        )
    return stakeholder
