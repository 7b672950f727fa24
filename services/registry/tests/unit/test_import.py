"""Rows of an import, for good and in rehearsal; and CSV that arrives in pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapport_events.registry import ConsentGranted, StakeholderRegistered
from registry.domain.reference import UnknownCode
from registry.rows import LONGEST_ROW, FileUnreadable, Row, rows
from registry.usecases.import_stakeholders import (
    ColumnsWrong,
    Imported,
    ImportRow,
    Rehearsal,
    RowInvalid,
    check_columns,
    import_stakeholder,
    rehearse_import,
)
from registry.usecases.read_stakeholder import read_stakeholder

COLUMNS = ("reference", "kind", "name", "category", "subtype", "region", "confidence_groups", "synthetic", "consents")


def row(line=2, **cells):
    known = {"reference": "EX-1", "kind": "organisation", "name": "Example Organisation", "category": "statutory"}
    return ImportRow(line=line, columns=COLUMNS, cells=tuple({**known, **cells}.get(c, "") for c in COLUMNS))


async def test_a_row_becomes_a_stakeholder_with_its_consents(memory):
    full = row(
        subtype="police",
        region="london",
        confidence_groups="bame; young-18-24",
        synthetic="true",
        consents="updates:email;research:phone",
    )
    imported = await memory.run(import_stakeholder, full)
    assert (imported.line, imported.status) == (2, "registered")
    assert [type(event) for event in memory.events] == [StakeholderRegistered, ConsentGranted, ConsentGranted]
    assert [(c.purpose, c.channel, c.proof) for c in memory.events[1:]] == [
        ("updates", "email", "import"),
        ("research", "phone", "import"),
    ]
    found = await read_stakeholder(imported.stakeholder_id, memory.unit())
    assert (found.confidence_groups, found.synthetic, found.segment) == (("bame", "young-18-24"), True, "police")


async def test_the_same_reference_twice_is_recognised(memory):
    first = await memory.run(import_stakeholder, row(region="wales"))
    again = await memory.run(import_stakeholder, row(line=3, region="wales", consents="updates:email"))
    other = await memory.run(import_stakeholder, row(line=4, region="london", name="Other Organisation"))
    assert again.status == other.status == "known"
    assert again.stakeholder_id == other.stakeholder_id == first.stakeholder_id
    assert (again.differs, other.differs) == ((), ("name", "region"))
    assert len(memory.events) == 1


async def test_without_a_reference_every_row_is_somebody(memory):
    first = await memory.run(import_stakeholder, row(reference=""))
    second = await memory.run(import_stakeholder, row(reference=""))
    assert first.stakeholder_id != second.stakeholder_id


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"kind": "ghost-writer"}, "kind: Input should be 'person', 'organisation' or 'community'"),
        ({"name": ""}, "name: Field required"),
        ({"synthetic": "perhaps-not"}, "synthetic: Input should be a valid boolean"),
        ({"consents": "everything"}, "consents: written as updates:email"),
        ({"reference": "ghost writer"}, "reference: String should match"),
    ],
)
async def test_a_row_is_refused_by_column_and_never_quoted(memory, cells, message):
    with pytest.raises(RowInvalid, match=message) as refused:
        await memory.run(import_stakeholder, row(**cells))
    assert not any(cell in str(refused.value) for cell in cells.values() if cell)


async def test_a_row_needs_as_many_cells_as_the_header(memory):
    with pytest.raises(RowInvalid, match="2 cells, where the header has 9"):
        await memory.run(import_stakeholder, ImportRow(line=2, columns=COLUMNS, cells=("a", "b")))


@pytest.mark.parametrize(
    "columns",
    [("kind", "name"), ("kind", "name", "category", "stance"), ("kind", "name", "category", "name")],
)
def test_wrong_columns_are_refused(columns):
    with pytest.raises(ColumnsWrong, match="needed: kind, name, category"):
        check_columns(columns)


async def test_a_rehearsal_foresees_what_the_import_does(memory):
    await memory.run(import_stakeholder, row(reference="EX-0"))
    first = [row(2, reference="EX-1"), row(3, reference="EX-1"), row(4, reference="EX-0"), row(5, category="friends")]
    second = [row(6, reference="EX-1"), row(7, reference="EX-2")]
    taken: set[str] = set()
    foreseen = [
        *await rehearse_import(Rehearsal(rows=first, taken=taken), memory.unit()),
        *await rehearse_import(Rehearsal(rows=second, taken=taken), memory.unit()),
    ]
    assert len(memory.events) == 1
    done: list[Imported | Exception] = []
    for each in (*first, *second):
        try:
            done.append(await memory.run(import_stakeholder, each))
        except UnknownCode as error:
            done.append(error)
    assert [getattr(answer, "status", str(answer)) for answer in foreseen] == [
        getattr(answer, "status", str(answer)) for answer in done
    ]


async def read(*chunks):
    async def arriving():
        for chunk in chunks:
            yield chunk

    return [found async for found in rows(arriving())]


async def test_rows_keep_the_line_they_begin_in():
    found = await read(b'\xef\xbb\xbfa,b\r\n"1\n', b'x","say ""so"""\r\n\r\n2,\xc3', b"\xa9\n3,")
    assert found == [
        Row(1, ("a", "b")),
        Row(2, ("1\nx", 'say "so"')),
        Row(5, ("2", "é")),
        Row(6, ("3", "")),
    ]


@given(st.text(alphabet='ab,"\né€', max_size=40).map(str.encode), st.integers(1, 7))
async def test_it_does_not_matter_in_what_pieces_a_file_arrives(file, size):
    async def outcome(*chunks):
        try:
            return await read(*chunks)
        except FileUnreadable as error:
            return str(error)

    assert await outcome(*(file[n : n + size] for n in range(0, len(file), size))) == await outcome(file)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (b'a,"b\n', "line 1: a quote is left open"),
        (b"a\n\xff\n", "line 2: not UTF-8"),
        (b'a\n"b"c\n', "line 2: not CSV"),
        (b"a" * (LONGEST_ROW + 1), "more than"),
        (b'"' + b"a\n" * LONGEST_ROW, "line 1: a row of more than"),
    ],
)
async def test_what_is_no_csv_is_refused(file, message):
    with pytest.raises(FileUnreadable, match=message):
        await read(file)


@pytest.mark.catalogue("B22")
@pytest.mark.parametrize("character", ["\x1b", "\x9f", "\u202e", "\u2066"])
async def test_a_name_hides_nothing_and_turns_nothing(memory, character):
    with pytest.raises(RowInvalid, match="name"):
        await memory.run(import_stakeholder, row(name=f"Example{character}Organisation"))
    assert memory.events == []
