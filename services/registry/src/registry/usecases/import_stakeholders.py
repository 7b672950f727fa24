"""Import stakeholders from rows of text, such as a CSV file: each row is registered, known already, or refused."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from registry.domain.consent import Channel, Proof, Purpose
from registry.domain.stakeholder import Stakeholder
from registry.usecases import Command, Unit
from registry.usecases.grant_consent import Agreement, GrantConsent, grant_consent
from registry.usecases.read_stakeholder import read_stakeholder
from registry.usecases.register_stakeholder import RegisterStakeholder, reference_hash, register_stakeholder

NEEDED = ("kind", "name", "category")
OPTIONAL = ("reference", "email", "phone", "subtype", "region", "confidence_groups", "synthetic", "consents")
_LISTS = ("confidence_groups", "consents")
_SEPARATOR = ";"


class ColumnsWrong(Exception):
    """The header of the file is not the one of an import."""


class RowInvalid(Exception):
    """A row that is no stakeholder; the text names the columns, never what is in them."""


class ImportRow(Command):
    """`line` is where the row begins in the file, `values` its cells by column; an empty cell is an absent one."""

    line: int
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """`registered`, or `known`: the reference was there before, and nothing was changed; `differs` says in what."""

    line: int
    status: str
    stakeholder_id: str | None
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

    Raises RowInvalid, UnknownCode, SubtypeOfAnotherCategory.
    """
    command, agreements = _read(row)
    reference_index = reference_hash(command.reference, unit)
    if reference_index is not None:
        taken = await unit.references.get(reference_index)
        if taken is not None:
            known = await read_stakeholder(taken.stakeholder_id, unit)
            return Imported(
                line=row.line, status="known", stakeholder_id=known.id, differs=_differences(row, command, known)
            )
    stakeholder = await register_stakeholder(command, unit)
    for agreement in agreements:
        await grant_consent(GrantConsent(stakeholder_id=stakeholder.id, agreement=agreement), unit)
    return Imported(line=row.line, status="registered", stakeholder_id=stakeholder.id)


def _read(row: ImportRow) -> tuple[RegisterStakeholder, list[Agreement]]:
    """Raises RowInvalid."""
    values: dict[str, Any] = {column: text.strip() for column, text in row.values.items() if text.strip()}
    for column in _LISTS:
        if column in values:
            values[column] = tuple(part.strip() for part in values[column].split(_SEPARATOR) if part.strip())
    try:
        agreements = [_agreement(part) for part in values.pop("consents", ())]
        return RegisterStakeholder.model_validate(values, strict=False), agreements
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'][:1])) or 'row'}: {fault['msg']}" for fault in error.errors()]
        raise RowInvalid("; ".join(faults)) from None


def _agreement(text: str) -> Agreement:
    """Written `updates:email`. Raises RowInvalid."""
    purpose, _, channel = text.partition(":")
    if purpose not in set(Purpose) or channel not in set(Channel):
        known = f"{', '.join(Purpose)} by {', '.join(Channel)}"
        raise RowInvalid(f"consents: written as updates:email, several with ';' between them; there are {known}")
    return Agreement(purpose=Purpose(purpose), channel=Channel(channel), proof=Proof.IMPORT)


def _differences(row: ImportRow, command: RegisterStakeholder, known: Stakeholder) -> tuple[str, ...]:
    """Names of the facts in which the row departs from what is known; what it does not say is no difference."""
    said = [column for column, text in row.values.items() if text.strip() and column != "consents"]
    return tuple(sorted(column for column in said if getattr(command, column) != getattr(known, column)))
