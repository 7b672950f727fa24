"""How others take part: codes of the strategy's Annex C (described in `data/annex_c.json`)."""

from enum import StrEnum


class Level(StrEnum):
    """The ladder of participation, from least influence to most (demand D6)."""

    INFORM = "inform"
    CONSULT = "consult"
    INVOLVE = "involve"
    PARTNERSHIP = "partnership"


class Nature(StrEnum):
    """Communication is not engagement; some contacts are both (demand D15)."""

    COMMUNICATION = "communication"
    ENGAGEMENT = "engagement"
    BOTH = "both"


class Mode(StrEnum):
    """Whether it was sought, or answered somebody's call (demand C8)."""

    PROACTIVE = "proactive"
    REACTIVE = "reactive"


class Method(StrEnum):
    """The ten methods (demand D9), and the ordinary meeting."""

    APPRECIATIVE_INQUIRY = "appreciative-inquiry"
    CITIZEN_JURY = "citizen-jury"
    CONSENSUS_CONFERENCE = "consensus-conference"
    CONSUMER_VOICE_PANEL = "consumer-voice-panel"
    DELIBERATIVE_MAPPING = "deliberative-mapping"
    DELIBERATIVE_POLLING = "deliberative-polling"
    DIGITAL = "digital"
    FUTURE_SEARCH = "future-search"
    OPEN_SPACE = "open-space"
    YOUTH_EMPOWERMENT = "youth-empowerment"
    MEETING = "meeting"


class Role(StrEnum):
    """Who organises and who decides (demand L5). A closed list, so that no name can get in."""

    ASSESSMENT_UNIT = "assessment-unit"
    CCC_TEAM = "ccc-team"
    COMMS_TEAM = "comms-team"
    DIRECTOR = "director"
    DIRECTOR_WALES = "director-wales"
    KIM_TEAM = "kim-team"
    LEARNING_TEAM = "l-d-team"
    OVERSIGHT_TEAM = "oversight-team"
    POLICY_LEAD = "policy-lead"
    POLICY_TEAM = "p-e-team"
    PORTFOLIO_LEAD = "portfolio-lead"
    PRIVATE_OFFICE = "private-office"
    REGIONAL_DIRECTOR = "regional-director"
    RESEARCH_TEAM = "research-team"
    ENGAGEMENT_TEAM = "se-team"
