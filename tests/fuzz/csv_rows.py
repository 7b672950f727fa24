"""CSV for the two imports: the same rows and the same errors, however the stream is cut into pieces."""

import atheris

with atheris.instrument_imports(include=["registry.rows", "feedback.rows"]):
    from feedback import rows as feedback
    from registry import rows as registry

from tests.fuzz.target import all_of, drive, pieces


def one(data: bytes) -> None:
    size, stream = 1 + data[0] if data else 1, data[1:]
    for read in (of_registry, of_feedback):
        whole = read(stream, len(stream) or 1)
        assert read(stream, size) == whole


def of_registry(data: bytes, size: int) -> object:
    try:
        return all_of(registry.rows(pieces(data, size)))
    except registry.FileUnreadable as error:
        return str(error)


def of_feedback(data: bytes, size: int) -> object:
    try:
        return [
            (read.line, read.row, type(read.error)) for read in all_of(feedback.comma_separated(pieces(data, size)))
        ]
    except feedback.ColumnsWrong as error:
        return str(error)


if __name__ == "__main__":
    drive(one)
