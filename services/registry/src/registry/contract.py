"""The whole message surface: the registry tells, and listens to nobody."""

from rapport_events.registry import (
    ConsentGranted,
    ConsentWithdrawn,
    StakeholderAmended,
    StakeholderErased,
    StakeholderRegistered,
)

EMITS = (StakeholderRegistered, StakeholderAmended, ConsentGranted, ConsentWithdrawn, StakeholderErased)
