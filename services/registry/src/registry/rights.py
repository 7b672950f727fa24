"""Who reaches which stakeholders, and what they see of them.

`store.py` lays `reach` under all that is read and written for somebody; use cases and views ask the rest.
"""

from typing import Any

from rapport_ports import Caller

OFFICER = "engagement-officer"


class IdentitiesHidden(Exception):
    """Who may not see names cannot search by them either: 403."""


def reach(caller: Caller) -> dict[str, Any]:
    """A token that is bound to a region reaches the stakeholders of that region, whatever its roles.

    A stakeholder without a region is in nobody's: only tokens that are bound to none reach it.
    """
    return {} if caller.region is None else {"region": caller.region}


def sees_identities(caller: Caller) -> bool:
    """Engagement officers alone see who a stakeholder is: name, e-mail, phone, and what another system calls it.

    All others who may read stakeholders see where they stand and what they agreed to.
    """
    return OFFICER in caller.roles


def check_search_by_name(caller: Caller | None) -> None:
    """Who does not see names cannot search by them, or the search would tell them."""
    if caller is not None and not sees_identities(caller):
        raise IdentitiesHidden(f"a search by name needs the role {OFFICER}")
