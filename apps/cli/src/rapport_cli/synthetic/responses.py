"""The responses of a planned wave: exact shares, in an order that a seed decides."""

import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from fractions import Fraction
from typing import Any

from measures.domain.instrument import Instrument, Question

from rapport_cli.synthetic.plan import FIELD_DAYS, NOBODY, Asked, WavePlan
from rapport_cli.synthetic.quotas import Inexact, people, split

Cell = tuple[str | None, str]
"""A region (None where the wave knows none) and a group."""
Response = dict[str, Any]


def responses(plan: WavePlan, instrument: Instrument, seed: int) -> list[Response]:
    """One row a response, as the feedback service takes them in a stream. The same seed gives the same rows.

    Raises Inexact where the plan asks for shares that whole people cannot have.
    """
    shuffled = random.Random(f"{seed}/{plan.name}")  # noqa: S311 - play, not secrecy
    cells = _cells(plan)
    questions = {question.code: question for question in instrument.questions}
    columns = {code: _column(plan, questions[code], asked, cells, shuffled) for code, asked in plan.questions.items()}
    rows: list[Response] = []
    for cell, size in cells.items():
        region, group = cell
        for i in range(size):
            answers = {code: column[cell][i] for code, column in columns.items() if column[cell]}
            row: Response = {"answers": answers, "groups": [group] if group else []}
            if region is not None:
                row["region"] = region
            rows.append(row)
    shuffled.shuffle(rows)
    for number, row in enumerate(rows):
        row["day"] = (plan.starts_on + timedelta(days=number * FIELD_DAYS // len(rows))).isoformat()
        row["reference"] = f"synthetic-{plan.instrument}-{plan.ordinal}-{number:05d}"
    return rows


def _cells(plan: WavePlan) -> dict[Cell, int]:
    """People per region and group; a group's people are spread evenly over the regions."""
    regions: Sequence[str | None] = plan.regions or (None,)
    return {
        (region, group): size
        for group, total in plan.people.items()
        for region, size in zip(regions, split(total, [1] * len(regions)), strict=True)
    }


def _column(
    plan: WavePlan, question: Question, asked: Asked, cells: Mapping[Cell, int], shuffled: random.Random
) -> dict[Cell, list[str]]:
    """Answer codes per cell, as many as it has people; none where they were not asked."""
    bases = _bases(asked, cells)
    yes = _yes(plan, asked, bases)
    outside = "unknown" if question.unknown else "refused"
    counted = [answer.code for answer in question.answers if answer.code in question.counts]
    others = [answer.code for answer in question.answers if answer.code not in question.counts | question.left_out]
    column: dict[Cell, list[str]] = {}
    for cell, size in cells.items():
        if cell[1] in asked.not_put_to:
            column[cell] = []
            continue
        said = [
            *_spread(yes[cell], counted),
            *_spread(bases[cell] - yes[cell], others),
            *[outside] * (size - bases[cell]),
        ]
        shuffled.shuffle(said)
        column[cell] = said
    return column


def _bases(asked: Asked, cells: Mapping[Cell, int]) -> dict[Cell, int]:
    bases = dict(cells)
    for group, base in asked.bases.items():
        of_group = [cell for cell in cells if cell[1] == group]
        bases |= dict(zip(of_group, split(base, [cells[cell] for cell in of_group]), strict=True))
    return {cell: 0 if cell[1] in asked.not_put_to else base for cell, base in bases.items()}


def _yes(plan: WavePlan, asked: Asked, bases: Mapping[Cell, int]) -> dict[Cell, int]:
    """How many of each cell's base give an answer that counts. Raises Inexact."""
    yes = dict.fromkeys(bases, 0)
    for group, share in asked.groups.items():
        of_group = [cell for cell in bases if cell[1] == group]
        sizes = [bases[cell] for cell in of_group]
        yes |= dict(zip(of_group, split(people(share, sum(sizes)), sizes), strict=True))
    if asked.everyone is None:
        return yes
    regions: Sequence[str | None] = plan.regions or (None,)
    in_region = {region: sum(n for cell, n in bases.items() if cell[0] == region) for region in regions}
    wanted = split(people(asked.everyone, sum(in_region.values())), _targets(asked, in_region))
    for region, total in zip(regions, wanted, strict=True):
        rest = total - sum(yes[region, group] for group in asked.groups)
        if not 0 <= rest <= bases[region, NOBODY]:
            raise Inexact(f"{plan.name}: {rest} of {bases[region, NOBODY]} people in no group of {region}")
        yes[region, NOBODY] = rest
    return yes


def _targets(asked: Asked, in_region: Mapping[str | None, int]) -> list[Fraction]:
    """People with an answer that counts whom each region shall have, in fractions."""
    share = Fraction(asked.everyone or "0") / 100
    apart = {region: Fraction(asked.regions.get(region or "", 0), 100) for region in in_region}
    free = sum(n for region, n in in_region.items() if not apart[region])
    balance = Fraction(0) if not free else sum((apart[r] * n for r, n in in_region.items()), Fraction(0)) / free
    return [n * (share + (apart[region] or -balance)) for region, n in in_region.items()]


def _spread(count: int, codes: Sequence[str]) -> list[str]:
    """`count` answers over the codes; "don't know" is the rarest."""
    parts = [1 if code == "dont-know" else 3 for code in codes]
    return [code for code, n in zip(codes, split(count, parts), strict=True) for _ in range(n)]
