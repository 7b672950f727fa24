"""How many answers would settle it."""

import math
from typing import Literal

from measures.domain.cells import Cells
from measures.domain.interval import normal
from measures.domain.settings import Settings

TooClose = Literal["too close to call"]
TOO_CLOSE: TooClose = "too close to call"


def needs_n(cells: Cells, population: int | None, threshold: float, settings: Settings) -> int | TooClose:
    """The base (in people) that would settle the observed distance to the threshold, rounded up.

    Power and error are the settings'; continuity-corrected; times base/effective base; reduced for a finite
    population. Nearer to the threshold than `settings.too_close` no number is honest.
    """
    share = cells.share
    distance = abs(share - threshold)
    if distance < settings.too_close:
        return TOO_CLOSE
    spread = normal(1 - settings.error) * math.sqrt(threshold * (1 - threshold))
    spread += normal(float(settings.power)) * math.sqrt(share * (1 - share))
    plain = (spread / distance) ** 2
    corrected = plain / 4 * (1 + math.sqrt(1 + 2 / (plain * distance))) ** 2 if plain else 1 / (2 * distance)
    people = corrected * cells.n / cells.effective_base
    if population is not None and population > cells.n:
        people = people / (1 + (people - 1) / population)
    return math.ceil(people)
