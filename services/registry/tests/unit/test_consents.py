"""Granting and withdrawing, by purpose and channel."""

from datetime import timedelta

import pytest
from pydantic import ValidationError
from rapport_events.registry import ConsentGranted, ConsentWithdrawn
from registry.domain.consent import (
    ConsentInFuture,
    ConsentNeverGranted,
    ConsentWithdrawnSince,
    Proof,
)
from registry.domain.stakeholder import StakeholderGone
from registry.usecases.erase_person import erase_person
from registry.usecases.grant_consent import Agreement, GrantConsent, grant_consent
from registry.usecases.register_stakeholder import register_stakeholder
from registry.usecases.withdraw_consent import WithdrawConsent, withdraw_consent


@pytest.fixture
async def stakeholder(memory, organisation):
    return await memory.run(register_stakeholder, organisation)


def granted(stakeholder, purpose="updates", channel="email", proof="form", granted_at=None):
    agreement = Agreement(purpose=purpose, channel=channel, proof=proof, granted_at=granted_at)
    return GrantConsent(stakeholder_id=stakeholder.id, agreement=agreement)


def withdrawn(stakeholder, purpose="updates", channel="email", proof="verbal"):
    return WithdrawConsent(stakeholder_id=stakeholder.id, purpose=purpose, channel=channel, proof=proof)


async def test_granting_tells_when_and_how(memory, stakeholder):
    at = memory.now - timedelta(days=3)
    await memory.run(grant_consent, granted(stakeholder, granted_at=at))
    assert memory.events[-1] == ConsentGranted(
        stakeholder_id=stakeholder.id, purpose="updates", channel="email", proof="form", granted_at=at
    )


async def test_granting_again_changes_nothing(memory, stakeholder):
    first = await memory.run(grant_consent, granted(stakeholder))
    memory.now += timedelta(days=1)
    again = await memory.run(grant_consent, granted(stakeholder, proof="verbal"))
    assert again.version == first.version
    assert [consent.proof for consent in again.consents] == [Proof.FORM]
    assert len(memory.events) == 2


async def test_withdrawing_tells_when_and_keeps_how(memory, stakeholder):
    await memory.run(grant_consent, granted(stakeholder))
    memory.now += timedelta(days=1)
    after = await memory.run(withdraw_consent, withdrawn(stakeholder))
    assert memory.events[-1] == ConsentWithdrawn(
        stakeholder_id=stakeholder.id, purpose="updates", channel="email", withdrawn_at=memory.now
    )
    [consent] = after.consents
    assert (consent.active, consent.withdrawal_proof) == (False, Proof.VERBAL)


async def test_purposes_and_channels_stand_for_themselves(memory, stakeholder):
    for purpose, channel in (("updates", "email"), ("updates", "phone"), ("research", "email")):
        await memory.run(grant_consent, granted(stakeholder, purpose, channel))
    after = await memory.run(withdraw_consent, withdrawn(stakeholder, "updates", "email"))
    assert {(c.purpose, c.channel) for c in after.consents if c.active} == {("updates", "phone"), ("research", "email")}


async def test_withdrawing_twice_changes_nothing(memory, stakeholder):
    await memory.run(grant_consent, granted(stakeholder))
    first = await memory.run(withdraw_consent, withdrawn(stakeholder))
    again = await memory.run(withdraw_consent, withdrawn(stakeholder))
    assert again.version == first.version
    assert len(memory.events) == 3


async def test_what_was_never_granted_cannot_be_withdrawn(memory, stakeholder):
    await memory.run(grant_consent, granted(stakeholder, "updates", "phone"))
    with pytest.raises(ConsentNeverGranted, match="updates by email was never granted"):
        await memory.run(withdraw_consent, withdrawn(stakeholder))


async def test_after_a_withdrawal_one_may_agree_anew(memory, stakeholder):
    await memory.run(grant_consent, granted(stakeholder))
    await memory.run(withdraw_consent, withdrawn(stakeholder))
    memory.now += timedelta(days=1)
    after = await memory.run(grant_consent, granted(stakeholder))
    [consent] = after.consents
    assert (consent.active, consent.granted_at) == (True, memory.now)


async def test_an_old_agreement_does_not_undo_a_withdrawal(memory, stakeholder):
    await memory.run(grant_consent, granted(stakeholder))
    memory.now += timedelta(days=2)
    await memory.run(withdraw_consent, withdrawn(stakeholder))
    with pytest.raises(ConsentWithdrawnSince):
        await memory.run(grant_consent, granted(stakeholder, granted_at=memory.now - timedelta(days=1)))


async def test_consent_is_not_given_in_the_future(memory, stakeholder):
    with pytest.raises(ConsentInFuture):
        await memory.run(grant_consent, granted(stakeholder, granted_at=memory.now + timedelta(seconds=1)))


async def test_there_is_no_consent_of_who_was_erased(memory, stakeholder):
    await memory.run(grant_consent, granted(stakeholder))
    await memory.run(erase_person, stakeholder.id)
    for use_case, command in ((grant_consent, granted(stakeholder)), (withdraw_consent, withdrawn(stakeholder))):
        with pytest.raises(StakeholderGone):
            await memory.run(use_case, command)


@pytest.mark.parametrize(
    "fields",
    [
        {"purpose": "selling"},
        {"channel": "pigeon"},
        {"proof": "hearsay"},
        {"granted_at": "2019-06-01T10:00:00"},
        {"granted_at": 1_559_383_200},
    ],
)
def test_a_malformed_agreement_is_refused(fields):
    with pytest.raises(ValidationError):
        Agreement(**{"purpose": "updates", "channel": "email", "proof": "form", **fields})
