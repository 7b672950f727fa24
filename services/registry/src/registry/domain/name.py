"""How a name is found: by the beginnings of its words, whatever their case and accents."""

import re
import unicodedata

SHORTEST, LONGEST = 2, 12
MOST_WORDS = 12

_WORD = re.compile(r"[^\W_]+")
_APOSTROPHES = str.maketrans("", "", "'`\u2018\u2019")
_LETTERS_OF_THEIR_OWN = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i"}
)
"""Letters that Unicode does not take apart into a letter and an accent."""


class NameTooShort(Exception):
    """A search by name needs a word of two letters at least."""


def words(name: str) -> list[str]:
    """The words of a name, folded: "Gŵyl  O'Brien" gives gwyl, obrien."""
    folded = unicodedata.normalize("NFKD", name.translate(_APOSTROPHES).casefold())
    plain = "".join(c for c in folded if not unicodedata.combining(c)).translate(_LETTERS_OF_THEIR_OWN)
    return _WORD.findall(plain.casefold())


def prefixes(name: str) -> set[str]:
    """The beginnings, of 2 to 12 letters, of the first twelve words of two letters or more."""
    known = [word for word in words(name) if len(word) >= SHORTEST][:MOST_WORDS]
    return {word[:length] for word in known for length in range(SHORTEST, min(len(word), LONGEST) + 1)}


def sought(text: str) -> list[str]:
    """What to look for, the longest first; a word counts up to its twelfth letter. Raises NameTooShort."""
    found = {word[:LONGEST] for word in words(text) if len(word) >= SHORTEST}
    if not found:
        raise NameTooShort("a search by name needs a word of two letters at least")
    return sorted(found, key=lambda word: (-len(word), word))
