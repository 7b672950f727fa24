"""The service over memory."""

from datetime import UTC, datetime

import pytest
from rapport_chassis.memory import Memory
from registry.store import Registry
from registry.usecases.register_stakeholder import RegisterStakeholder


@pytest.fixture
def memory() -> Memory[Registry]:
    return Memory(Registry, now=datetime(2023, 6, 1, 9, tzinfo=UTC))


@pytest.fixture
def organisation() -> RegisterStakeholder:
    """One that has everything."""
    return RegisterStakeholder.model_validate(
        {
            "kind": "organisation",
            "name": "Example Organisation",
            "email": "office@example.org",
            "phone": "+44 20 7946 0000",
            "category": "non-statutory",
            "subtype": "voluntary-and-advocacy",
            "region": "wales",
            "confidence_groups": ("young-18-24", "bame"),
            "reference": "EX-1",
            "synthetic": True,
        },
        strict=False,
    )
