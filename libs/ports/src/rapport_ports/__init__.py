"""What a use case may ask of the world around it: the ports of hexagonal architecture, and nothing that fills them.

A use case imports its domain, the events and this. Who fills the ports (the chassis over MongoDB, or over memory) is
none of its business, which is why they are not the chassis' own.
"""

from rapport_ports.command import FROM_JSON, Command, Day
from rapport_ports.unit import Caller, Kept, OutOfReach, Unit

__all__ = ["FROM_JSON", "Caller", "Command", "Day", "Kept", "OutOfReach", "Unit"]
