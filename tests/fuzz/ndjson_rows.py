"""NDJSON for the import of responses: an answer a line, however the stream is cut into pieces."""

import atheris

with atheris.instrument_imports(include=["feedback.rows", "rapport_chassis.http.body"]):
    from feedback.rows import ndjson

from tests.fuzz.target import all_of, drive, pieces


def one(data: bytes) -> None:
    size, stream = 1 + data[0] if data else 1, data[1:]
    whole = read(stream, len(stream) or 1)
    assert read(stream, size) == whole
    assert len(whole) <= stream.count(b"\n") + 1


def read(data: bytes, size: int) -> list[object]:
    return [(read.line, read.row, type(read.error)) for read in all_of(ndjson(pieces(data, size)))]


if __name__ == "__main__":
    drive(one)
