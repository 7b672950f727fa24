"""The words a figure may earn."""

from enum import StrEnum


class Verdict(StrEnum):
    MET = "met"
    NOT_MET = "not_met"
    CANNOT_TELL = "cannot_tell"
    TOO_EARLY = "too_early"
    NO_BASELINE = "no_baseline"
    SUPPRESSED = "suppressed"
    SERIES_BROKEN = "series_broken"
    MONITORED = "monitored"

    @property
    def words(self) -> str:
        """As people read it: "cannot tell"."""
        return self.value.replace("_", " ")


class Qualifier(StrEnum):
    """What "met" amounts to where a share had to be maintained or improved."""

    IMPROVED = "improved"
    MAINTAINED = "maintained"


class Severity(StrEnum):
    """How far below everyone a region is."""

    AMBER = "amber"
    RED = "red"


class Statistic(StrEnum):
    """What the bounds of a judgement are bounds of."""

    SHARE = "share"
    DIFFERENCE = "difference"
    SLOPE = "slope"
