"""How a name is taken apart to be found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registry.domain.name import LONGEST, SHORTEST, NameTooShort, prefixes, sought, words


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Example Organisation", ["example", "organisation"]),
        ("Gŵyl  O'Brien-Łódź", ["gwyl", "obrien", "lodz"]),
        ("STRASSE straße", ["strasse", "strasse"]),
        ("Ærø (1st)", ["aero", "1st"]),
        ("李明", ["李明"]),
        ("--- _ '", []),
    ],
)
def test_words_are_folded(name, expected):
    assert words(name) == expected


def test_prefixes_have_two_to_twelve_letters():
    assert prefixes("Ab Constabularies") == {"ab", *("constabularies"[:n] for n in range(2, 13))}


def test_what_is_sought_begins_with_the_longest_word_and_stops_at_twelve_letters():
    assert sought("co constabularies") == ["constabulari", "co"]


@pytest.mark.parametrize("text", ["", "a", "a b", "'", "!!"])
def test_a_search_needs_two_letters(text):
    with pytest.raises(NameTooShort):
        sought(text)


@given(st.text(max_size=60))
def test_every_word_that_is_indexed_is_found_by_any_beginning_of_it(name):
    index = prefixes(name)
    for word in words(name)[:5]:
        for length in range(SHORTEST, min(len(word), LONGEST + 3) + 1):
            assert set(sought(word[:length])) <= index
