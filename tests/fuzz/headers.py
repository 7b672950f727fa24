"""The number in a record's headers, which is read before anything else of it: one that can be stored, or none."""

import atheris

with atheris.instrument_imports(include=["rapport_chassis.consumer"]):
    from rapport_chassis.records import header, number_of

from tests.fuzz.target import drive

STORED = range(1, 2**63)


def one(data: bytes) -> None:
    headers = [
        (name.decode("latin-1"), text) for name, _, text in (line.partition(b": ") for line in data.split(b"\n"))
    ]
    number = number_of(headers)
    assert number is None or number in STORED
    header(headers, "traceparent")


if __name__ == "__main__":
    drive(one)
