"""What a channel is, and how it says that a message did not get through."""

from typing import Protocol

from notifications.domain.message import Letter, Rendered


class AddressRefused(ValueError):
    """The address is not one this channel sends to; the text says why and does not repeat it."""


class Retry(Exception):
    """Try again later. `reason` is a code; `after`, in seconds, is what the receiver asked for."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after


class Refused(Exception):
    """Never try this message again; `reason` is a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Channel(Protocol):
    """One way to reach somebody. Made once per process, in its event loop; used by many messages at once."""

    def check(self, address: str) -> None:
        """Raises AddressRefused. Looks at the address alone, at nothing outside."""
        ...

    def new_secret(self) -> str | None:
        """A secret for a new subscription, where the channel signs; shown to the subscriber once."""
        ...

    async def send(self, letter: Letter, rendered: Rendered) -> None:
        """Returns once the receiving side has accepted it. Raises Retry, also where the outcome is unknown, or Refused.

        A second send of the same letter carries the same id, by which the receiver can tell.
        """
        ...

    async def close(self) -> None: ...
