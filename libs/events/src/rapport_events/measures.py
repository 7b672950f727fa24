"""What it amounts to: events of the measures."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from rapport_events.event import Event
from rapport_events.fields import MeasureId, Synthetic, WaveId

ALL = "all"
"""Group of everybody asked, and subject key of a measure that is not regional."""

DefinitionVersion = Annotated[int, Field(ge=1, description="Version of the measure's definition")]
SettingsVersion = Annotated[int, Field(ge=1, description="Version of the settings it is judged by")]


class Rule(StrEnum):
    """How a target is judged (Annex B)."""

    P2 = "p2"
    MORI = "mori"
    GT = "gt"
    IMPROVE = "improve"
    UP = "up"
    FLOOR = "floor"
    MONITOR = "monitor"


class Verdict(StrEnum):
    MET = "met"
    NOT_MET = "not_met"
    CANNOT_TELL = "cannot_tell"
    TOO_EARLY = "too_early"
    NO_BASELINE = "no_baseline"
    SUPPRESSED = "suppressed"
    SERIES_BROKEN = "series_broken"
    MONITORED = "monitored"


class Severity(StrEnum):
    """How far a region is below the others, where the floor is not met."""

    AMBER = "amber"
    RED = "red"


class MeasureDefined(Event):
    """A measure has a definition, or a new version of it."""

    type = "measures.measure.defined.v1"
    key = "measure_id"

    measure_id: MeasureId
    definition_version: DefinitionVersion
    settings_version: SettingsVersion
    instrument_code: Annotated[str, Field(description="Instrument its answers come from")]
    question_code: Annotated[str, Field(description="Question it is about")]
    group: Annotated[str, Field(description="Group or segment it is about; all: everybody asked")]
    rule: Annotated[str, Field(description="How its target is judged: p2, mori, gt, improve, up, floor, monitor")]


class VerdictChanged(Event):
    """What can be said about a measure changed."""

    type = "measures.measure.verdict-changed.v1"
    key = "measure_id"

    measure_id: MeasureId
    subject_key: Annotated[str, Field(description="Region code of a regional measure, otherwise all")]
    wave_id: WaveId
    ordinal: Annotated[int, Field(ge=0, description="Place of the wave in its series; 0 is the baseline wave")]
    verdict: Annotated[
        str,
        Field(
            description="met, not_met, cannot_tell, too_early, no_baseline, suppressed, series_broken, monitored",
        ),
    ]
    previous: Annotated[str | None, Field(description="Verdict before; absent: this is the first")] = None
    severity: Annotated[str | None, Field(description="amber or red, where a regional floor is not met")] = None
    provisional: Annotated[bool, Field(description="The wave is still open")]
    share: Annotated[float | None, Field(ge=0, le=1, description="Share of the base; absent: suppressed or none")] = (
        None
    )
    base: Annotated[int, Field(ge=0, description="Responses in the base, unweighted")]
    definition_version: DefinitionVersion
    settings_version: SettingsVersion
    synthetic: Synthetic
