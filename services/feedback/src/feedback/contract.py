"""Everything feedback says and hears."""

from rapport_events.engagement import ExerciseOpened
from rapport_events.feedback import InstrumentPublished, ResponseReceived, WaveClosed, WaveOpened
from rapport_events.registry import StakeholderErased

from feedback.usecases.note_exercise import note_exercise
from feedback.usecases.withdraw_responses import withdraw_responses

EMITS = (InstrumentPublished, WaveOpened, WaveClosed, ResponseReceived)
CONSUMES = {StakeholderErased: withdraw_responses, ExerciseOpened: note_exercise}
