"""Sealed fields as they arrive: the text that was sealed, or SealBroken."""

import atheris

with atheris.instrument_imports(include=["rapport_chassis.sealing"]):
    from rapport_chassis.sealing import SealBroken, open_sealed, seal

from tests.fuzz.target import drive

KEY = bytes(32)


def one(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    subject, _, token = text.partition("\n")
    try:
        opened = open_sealed(KEY, token, subject=subject, owner="events/1", path="name")
    except SealBroken:
        opened = None
    assert opened is None or isinstance(opened, str)
    if text.isprintable():
        sealed = seal(KEY, text, subject=subject, owner="events/1", path="name")
        assert open_sealed(KEY, sealed, subject=subject, owner="events/1", path="name") == text


if __name__ == "__main__":
    drive(one)
