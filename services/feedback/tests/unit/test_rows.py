"""Streams in pieces of any size: the same rows, the same lines, bounded memory."""

import pytest
from feedback.rows import LONGEST_ROW, ColumnsWrong, RowUnreadable, comma_separated, ndjson
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

JSON = '{"reference":"%s","answers":{"heard":"yes"}}'
HEADER = "reference,answers.heard,groups,weight,day,region,comment\n"


async def read(reader, data, size=7):
    async def pieces():
        for place in range(0, len(data), size):
            yield data[place : place + size]

    return [row async for row in reader(pieces())]


async def test_ndjson():
    text = f"\ufeff{JSON % 'a'}\r\n\n{JSON % 'b'}\n{{\n[]\n{JSON % 'c'}"
    rows = await read(ndjson, text.encode())
    assert [(row.line, row.row.reference if row.row else None) for row in rows] == [
        (1, "a"),
        (3, "b"),
        (4, None),
        (5, None),
        (6, "c"),
    ]
    assert isinstance(rows[2].error, RowUnreadable)
    assert isinstance(rows[3].error, ValidationError)


@pytest.mark.parametrize(
    "line",
    [
        '{"answers":{"heard":"yes"}}',
        '{"reference":"a","answers":{"heard":"yes","heard":"no"}}',
        '{"reference":"a b","answers":{"heard":"yes"}}',
        '{"reference":"a","answers":{"heard":"yes"},"weight":NaN}',
        '{"reference":"a","answers":' + "[" * 200 + "]" * 200 + "}",
        '{"reference":"\\ud800","answers":{"heard":"yes"}}',
        "null",
    ],
)
async def test_a_bad_line_is_one_bad_row(line):
    rows = await read(ndjson, f"{line}\n{JSON % 'b'}\n".encode())
    assert [row.row is None for row in rows] == [True, False]


async def test_bytes_that_are_no_text():
    rows = await read(ndjson, b'{"reference":"\xff"}\n' + (JSON % "b").encode())
    assert [row.row is None for row in rows] == [True, False]


async def test_a_line_without_end_is_dropped_as_it_comes():
    data = b"x" * (3 * LONGEST_ROW) + b"\n" + (JSON % "b").encode()
    rows = await read(ndjson, data, 1_000)
    assert [row.line for row in rows] == [1, 2]
    assert isinstance(rows[0].error, RowUnreadable)
    assert rows[1].row.reference == "b"


async def test_csv():
    text = (
        HEADER
        + 'a,yes,bame; young-18-24,1.5,2026-01-02,north,"Two\nlines, ""quoted"""\n'
        + "b,no,,,,,\r\n"
        + "\n"
        + "c,yes\n"
        + "d,yes,,heavy,,,\n"
        + "e,yes,,,,,"
    )
    rows = await read(comma_separated, text.encode())
    assert [row.line for row in rows] == [2, 4, 6, 7, 8]
    first = rows[0].row
    assert (first.groups, str(first.weight), str(first.day)) == (("bame", "young-18-24"), "1.5", "2026-01-02")
    assert first.comment == 'Two\nlines, "quoted"'
    assert rows[1].row.answers == {"heard": "no"}
    assert rows[1].row.groups == ()
    assert isinstance(rows[2].error, RowUnreadable)
    assert isinstance(rows[3].error, ValidationError)
    assert rows[4].row.reference == "e"


async def test_bytes_that_are_no_text_in_csv():
    rows = await read(comma_separated, HEADER.encode() + b"a,yes,,,,,\xff\nb,yes,,,,,\n")
    assert [row.row is None for row in rows] == [True, False]


@pytest.mark.parametrize(
    "tail",
    ['"open,yes,,,,,\n' + "b,yes,,,,,\n" * 10_000, '"open,yes,,,,,', "x" * (2 * LONGEST_ROW) + "\nb,yes,,,,,\n"],
)
async def test_after_what_cannot_be_told_apart_nothing_is_read(tail):
    rows = await read(comma_separated, (HEADER + "a,yes,,,,,\n" + tail).encode(), 5_000)
    assert rows[0].row.reference == "a"
    assert isinstance(rows[1].error, RowUnreadable)
    assert len(rows) == 2


@pytest.mark.parametrize(
    "header",
    [
        "",
        "reference\n",
        "answers.heard\n",
        "reference,answers.heard,ip\n",
        "reference,reference,answers.heard\n",
        '"reference\n',
        "\xff\n",
    ],
)
async def test_a_header_must_name_what_is_known(header):
    with pytest.raises(ColumnsWrong):
        await read(comma_separated, header.encode("latin-1"))


@given(st.binary(max_size=300), st.integers(1, 50))
async def test_any_bytes_are_read_to_the_end(data, size):
    whole = await read(ndjson, data, 1_000)
    assert [row.line for row in whole] == [row.line for row in await read(ndjson, data, size)]
    rows = await read(comma_separated, HEADER.encode() + data, size)
    assert [row.line for row in rows] == [
        row.line for row in await read(comma_separated, HEADER.encode() + data, 1_000)
    ]
