"""Characters that no text from outside may have, wherever it comes in: in a body, an address or a file."""

from __future__ import annotations

import re

# Controls but tab and line ends, which forge lines of logs and hide from who reads; what turns the direction of text, so
# that it reads otherwise than it is (CVE-2021-42574); halves of surrogate pairs, which are no characters.
UNWELCOME = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

WHY = "a control character, or one that turns the direction of text"


def is_half(character: str) -> bool:
    """Whether it is half a surrogate pair."""
    return "\ud800" <= character <= "\udfff"
