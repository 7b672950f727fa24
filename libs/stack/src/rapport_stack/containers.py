"""Servers in containers."""

from typing import NoReturn

from rapport_stack.errors import StackError


def refuse() -> NoReturn:
    """Say what to use instead: this stack does not start containers."""
    raise StackError(
        "The stack 'containers' is not available in this version.",
        "Use 'embedded' (the default: the same servers without Docker), or start containers yourself and use "
        "'external' with RAPPORT_MONGO_URI and RAPPORT_KAFKA_BOOTSTRAP.",
    )
