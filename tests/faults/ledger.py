"""What the outside world was promised, and what it was not."""

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["response", "stakeholder"]


@dataclass(slots=True)
class Promise:
    """One acknowledged write.

    Attributes:
        aggregate: id of the stakeholder; of a response, the id of the event that tells of it.
        version: the version that the ETag named; 0 where there was none.
        answer: the code that was answered; of a stakeholder, its region.
    """

    kind: Kind
    aggregate: str
    version: int
    answer: str


@dataclass(slots=True)
class Ledger:
    """`promises` by sender: whoever sends again must be given the same. `unknown` are senders never answered."""

    promises: dict[str, Promise] = field(default_factory=dict)
    unknown: dict[str, Kind] = field(default_factory=dict)
    refused: int = 0
    """Answers 503: nothing was promised, and nothing may have happened."""
    replayed: int = 0
    """Answers that were those of an earlier attempt."""
    broken: list[str] = field(default_factory=list)
    """What an API said that it should not have said."""

    def acknowledged(self, sender: str, promise: Promise) -> None:
        self.unknown.pop(sender, None)
        known = self.promises.setdefault(sender, promise)
        if known.aggregate != promise.aggregate:
            self.broken.append(f"{sender} was acknowledged as {known.aggregate} and as {promise.aggregate}")

    def abandoned(self, sender: str, kind: Kind) -> None:
        """Sent at least once, and given up without an answer: all of it may have happened, or nothing."""
        if sender not in self.promises:
            self.unknown[sender] = kind

    def count(self, kind: Kind) -> int:
        return sum(promise.kind == kind for promise in self.promises.values())
