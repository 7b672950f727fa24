"""Import stakeholders from rows of text, such as a CSV file: each row is registered, known already, or refused."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError
from rapport_ports import Command, OutOfReach

from registry.domain.consent import Channel, Proof, Purpose
from registry.domain.reference import SubtypeOfAnotherCategory, UnknownCode
from registry.domain.stakeholder import ReferenceTaken, Stakeholder
from registry.usecases import Unit
from registry.usecases.grant_consent import Agreement, GrantConsent, grant_consent
from registry.usecases.register_stakeholder import RegisterStakeholder, enter, reference_hash

NEEDED = ("kind", "name", "category")
REGISTERED, KNOWN = "registered", "known"
OPTIONAL = ("reference", "email", "phone", "subtype", "region", "confidence_groups", "synthetic", "consents")


class ColumnsWrong(Exception):
    """The header of the file is not the one of an import."""


class RowInvalid(Exception):
    """A row that is no stakeholder; the text names the columns, never what is in them."""


REFUSALS = (RowInvalid, UnknownCode, SubtypeOfAnotherCategory, ReferenceTaken, OutOfReach)
"""Why a row may be refused."""


class ImportRow(Command):
    """`line` is where the row begins in the file; an empty cell is an absent one."""

    line: int
    columns: tuple[str, ...]
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """`registered`, or `known`: the reference was there before, and nothing was changed; `differs` says in what."""

    line: int
    status: str
    stakeholder_id: str | None
    reference_index: str | None = None
    differs: tuple[str, ...] = ()


def check_columns(columns: Iterable[str]) -> None:
    """Raises ColumnsWrong."""
    found = list(columns)
    missing = [column for column in NEEDED if column not in found]
    unknown = [column for column in found if column not in (*NEEDED, *OPTIONAL)]
    twice = sorted({column for column in found if found.count(column) > 1})
    if missing or unknown or twice:
        raise ColumnsWrong(
            f"needed: {', '.join(NEEDED)}; possible: {', '.join(OPTIONAL)}; "
            f"missing: {', '.join(missing) or 'none'}; {len(unknown)} unknown; twice: {', '.join(twice) or 'none'}",
        )


async def import_stakeholder(row: ImportRow, unit: Unit) -> Imported:
    """Register one row, with its consents.

    Raises RowInvalid, UnknownCode, SubtypeOfAnotherCategory, ReferenceTaken, OutOfReach.
    """
    values = _values(row)
    command, agreements = _read(values)
    reference_index = reference_hash(command.reference, unit)
    if reference_index is not None:
        taken = await unit.references.get(reference_index)
        if taken is not None:
            known = await unit.stakeholders.get(taken.stakeholder_id)
            if known is None:
                raise ReferenceTaken("a stakeholder out of your token's reach is registered under this reference")
            known.check_present()
            return Imported(
                line=row.line,
                status=KNOWN,
                stakeholder_id=known.id,
                reference_index=reference_index,
                differs=_differences(values, command, known),
            )
    stakeholder = enter(command, reference_index, unit)
    for agreement in agreements:
        await grant_consent(GrantConsent(stakeholder_id=stakeholder.id, agreement=agreement), unit)
    return Imported(line=row.line, status=REGISTERED, stakeholder_id=stakeholder.id, reference_index=reference_index)


@dataclass(slots=True, kw_only=True)
class Rehearsal:
    """Some rows of a dry run; `taken` are the references that earlier rows of the same file would have taken."""

    rows: Sequence[ImportRow]
    taken: set[str]


async def rehearse_import(rehearsal: Rehearsal, unit: Unit) -> list[Imported | Exception]:
    """What would become of each row. Its unit of work is never to be committed; `taken` grows by what was new."""
    answers: list[Imported | Exception] = []
    for row in rehearsal.rows:
        try:
            imported = await import_stakeholder(row, unit)
        except REFUSALS as refusal:
            answers.append(refusal)
            continue
        if imported.status == REGISTERED:
            status = KNOWN if imported.reference_index in rehearsal.taken else REGISTERED
            imported = replace(imported, status=status, stakeholder_id=None)
            if imported.reference_index is not None:
                rehearsal.taken.add(imported.reference_index)
        elif imported.reference_index in rehearsal.taken:
            imported = replace(imported, stakeholder_id=None)  # known from this file only: there is no id yet
        answers.append(imported)
    return answers


def _values(row: ImportRow) -> dict[str, str]:
    """What the row says, by column. Raises RowInvalid."""
    if len(row.cells) != len(row.columns):
        raise RowInvalid(f"{len(row.cells)} cells, where the header has {len(row.columns)}")
    return {column: cell.strip() for column, cell in zip(row.columns, row.cells, strict=True) if cell.strip()}


def _read(values: Mapping[str, str]) -> tuple[RegisterStakeholder, list[Agreement]]:
    """Raises RowInvalid."""
    agreements = [_agreement(text) for text in _parts(values.get("consents", ""))]
    facts: dict[str, Any] = {column: text for column, text in values.items() if column != "consents"}
    facts["confidence_groups"] = _parts(values.get("confidence_groups", ""))
    try:
        return RegisterStakeholder.model_validate(facts, strict=False), agreements
    except ValidationError as error:
        faults = [f"{fault['loc'][0] if fault['loc'] else 'row'}: {fault['msg']}" for fault in error.errors()]
        raise RowInvalid("; ".join(faults)) from None


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())


def _agreement(text: str) -> Agreement:
    """Written `updates:email`. Raises RowInvalid."""
    purpose, _, channel = text.partition(":")
    if purpose not in set(Purpose) or channel not in set(Channel):
        known = f"{', '.join(Purpose)} by {', '.join(Channel)}"
        raise RowInvalid(f"consents: written as updates:email, several with ';' between them; there are {known}")
    return Agreement(purpose=Purpose(purpose), channel=Channel(channel), proof=Proof.IMPORT)


def _differences(values: Mapping[str, str], command: RegisterStakeholder, known: Stakeholder) -> tuple[str, ...]:
    """Names of the facts in which the row departs from what is known; what it does not say is no difference."""
    said = [column for column in values if column != "consents"]
    return tuple(sorted(column for column in said if getattr(command, column) != getattr(known, column)))
