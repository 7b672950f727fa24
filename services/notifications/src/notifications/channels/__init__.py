"""The channels there are: one file each, one line here."""

from collections.abc import Callable, Mapping

from notifications.channels.channel import AddressRefused, Channel
from notifications.channels.email import Email
from notifications.channels.webhook import Webhook
from notifications.settings import Settings

CHANNELS: Mapping[str, Callable[[Settings], Channel]] = {
    "email": lambda settings: Email(settings.email),
    "webhook": lambda settings: Webhook(settings.webhook),
}


class UnknownChannel(ValueError):
    """There is no such channel."""


def channel_for(code: str, address: str, settings: Settings) -> Channel:
    """The channel, once the address is one it sends to. Raises UnknownChannel, AddressRefused."""
    make = CHANNELS.get(code)
    if make is None:
        raise UnknownChannel("a channel is one of " + ", ".join(CHANNELS))
    channel = make(settings)
    channel.check(address)
    return channel


__all__ = ["CHANNELS", "AddressRefused", "Channel", "UnknownChannel", "channel_for"]
