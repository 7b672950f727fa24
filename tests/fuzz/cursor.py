"""Cursors as somebody sends them: a place to go on behind, or 400."""

import atheris

with atheris.instrument_imports(include=["rapport_chassis.http.pagination"]):
    from fastapi import HTTPException
    from rapport_chassis.http.pagination import cursor_of, place_of

from tests.fuzz.target import drive

BAD_REQUEST = 400
STORED = range(-(2**63), 2**63)


def one(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for length in (1, 2):
        try:
            place = place_of(text, {}, length)
        except HTTPException as error:
            assert error.status_code == BAD_REQUEST
            continue
        assert place is not None
        assert len(place) == length
        assert all(isinstance(step, str) or step in STORED for step in place)
        assert place_of(cursor_of(place, {}), {}, length) == place


if __name__ == "__main__":
    drive(one)
