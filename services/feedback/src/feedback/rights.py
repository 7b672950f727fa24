"""Who reaches which responses.

`store.py` lays `reach` under all that is read and written for somebody. Instruments and waves belong to no region.
"""

from typing import Any

from rapport_ports import Caller


def reach(caller: Caller) -> dict[str, Any]:
    """A token that is bound to a region hands in and counts the responses of that region, whatever its roles.

    A response without a region is in nobody's: only tokens that are bound to none reach it.
    """
    return {} if caller.region is None else {"region": caller.region}
