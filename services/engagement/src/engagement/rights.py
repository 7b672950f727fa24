"""Who reaches which contacts, exercises and participants.

`store.py` lays these under all that is read and written for somebody.
"""

from typing import Any

from rapport_ports import Caller


def reach(caller: Caller) -> dict[str, Any]:
    """A token that is bound to a region reaches the exercises and participants of that region, whatever its roles.

    What has no region is in nobody's: only tokens that are bound to none reach it.
    """
    return {} if caller.region is None else {"region": caller.region}


def reach_of_contacts(caller: Caller) -> dict[str, Any]:
    """A contact is reached as exercises are; one that belongs to a case, by the team of that case alone (B14).

    No role stands above the team. The delivery plan counts all contacts, without saying which they are.
    """
    return {**reach(caller), "team": {"in": [None, caller.subject]}}
