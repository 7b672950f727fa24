"""How long to wait before the next attempt, and how many there are."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BackOff:
    """Doubles from `first_seconds` up to `most_seconds`; after `attempts` it is over."""

    attempts: int
    first_seconds: float
    most_seconds: float

    def pause(self, attempt: int, spread: float, wish: float | None = None) -> float:
        """Seconds after failed attempt number `attempt` (from 1).

        `spread`, from 0 to 1, places the pause in the upper half of its range, so that receivers that failed together
        are not asked together again. `wish` is what the receiver asked for (Retry-After): heard, up to `most_seconds`.
        """
        longest = min(self.most_seconds, self.first_seconds * 2.0 ** min(attempt - 1, 62))
        pause = longest * (0.5 + spread / 2)
        return max(pause, min(wish, self.most_seconds)) if wish is not None else pause
