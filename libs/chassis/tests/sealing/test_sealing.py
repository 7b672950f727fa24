import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapport_chassis.sealing import SealBroken, open_sealed, seal

KEY = bytes(range(32))
WHERE = {"subject": "subject-1", "owner": "event-1", "path": "name"}
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@given(text=texts, subject=texts, owner=texts, path=texts, key=st.binary(min_size=32, max_size=32))
def test_what_was_sealed_opens_again(text, subject, owner, path, key):
    token = seal(key, text, subject=subject, owner=owner, path=path)
    assert token.isascii()
    assert open_sealed(key, token, subject=subject, owner=owner, path=path) == text


def test_no_two_tokens_of_one_text_are_alike():
    assert len({seal(KEY, "the same words", **WHERE) for _ in range(100)}) == 100


@given(there=st.tuples(texts, texts, texts), elsewhere=st.tuples(texts, texts, texts))
def test_a_token_opens_only_where_it_was_sealed(there, elsewhere):
    names = ("subject", "owner", "path")
    token = seal(KEY, "words", **dict(zip(names, there, strict=True)))
    if there == elsewhere:
        return
    with pytest.raises(SealBroken):
        open_sealed(KEY, token, **dict(zip(names, elsewhere, strict=True)))


@pytest.mark.parametrize(
    ("subject", "owner", "path"), [("ab", "c", "d"), ("a", "bc", "d"), ("a", "b", "cd"), ("", "ab", "cd")]
)
def test_the_parts_of_the_binding_do_not_run_into_each_other(subject, owner, path):
    token = seal(KEY, "words", subject="a", owner="b", path="c\x00d")
    with pytest.raises(SealBroken):
        open_sealed(KEY, token, subject=subject, owner=owner, path=path)


def test_another_key_does_not_open():
    with pytest.raises(SealBroken):
        open_sealed(os.urandom(32), seal(KEY, "words", **WHERE), **WHERE)


@given(st.data())
def test_any_change_of_a_token_breaks_it(data):
    token = seal(KEY, "words to keep", **WHERE)
    at = data.draw(st.integers(0, len(token) - 1))
    put = data.draw(st.characters(max_codepoint=0x17F).filter(lambda character: character != token[at]))
    with pytest.raises(SealBroken):
        open_sealed(KEY, token[:at] + put + token[at + 1 :], **WHERE)


@given(st.text(max_size=120))
def test_any_other_text_is_a_broken_seal_and_nothing_else(token):
    with pytest.raises(SealBroken):
        open_sealed(KEY, token, **WHERE)
    with pytest.raises(SealBroken):
        open_sealed(KEY, "v1." + token, **WHERE)


def test_the_error_does_not_show_the_token():
    token = seal(KEY, "words", **WHERE)[:-2]
    with pytest.raises(SealBroken) as broken:
        open_sealed(KEY, token, **WHERE)
    assert token not in str(broken.value)
