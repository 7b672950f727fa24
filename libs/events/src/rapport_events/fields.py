"""Fields that events of several contexts share, with the one description they have everywhere."""

from datetime import date
from typing import Annotated

from pydantic import Field

Id = Annotated[str, Field(min_length=1)]

StakeholderId = Annotated[Id, Field(description="Stakeholder, as the registry knows it")]
ExerciseId = Annotated[Id, Field(description="Engagement exercise")]
WaveId = Annotated[Id, Field(description="Wave of a survey")]
MeasureId = Annotated[Id, Field(description="Measure, by its code in the strategy's Annex B, such as PPT-1a")]

Region = Annotated[str | None, Field(description="Region code of the registry's reference data; absent: not known")]
Level = Annotated[str, Field(description="Level of participation: inform, consult, involve, partnership")]
Method = Annotated[str, Field(description="Method of engagement, code of the method catalogue")]
DecisionMaker = Annotated[str, Field(description="Role code of whoever decides on what is heard, never a name")]
ReplyDue = Annotated[date, Field(description="Day by which the reply is promised")]
Synthetic = Annotated[bool, Field(description="Made-up data, to be kept apart from real figures")]
