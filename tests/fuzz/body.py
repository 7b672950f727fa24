"""Bodies: a value that every reader of JSON understands alike and MongoDB stores, or 400 or 422."""

import json

import atheris

with atheris.instrument_imports(include=["rapport_chassis.http.body"]):
    from fastapi import HTTPException
    from rapport_chassis.http.body import parse

from tests.fuzz.target import drive

REFUSALS = {400, 422}


def one(data: bytes) -> None:
    try:
        value = parse(data)
    except HTTPException as error:
        assert error.status_code in REFUSALS
        return
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    assert "\x00" not in text
    assert parse(text.encode()) == value


if __name__ == "__main__":
    drive(one)
