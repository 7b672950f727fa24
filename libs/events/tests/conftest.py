"""`st.from_type(Envelope)` makes up any envelope that may be on a topic."""

from datetime import UTC

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from rapport_events.envelope import NUMBERS, Envelope

_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)

_words = st.text(min_size=1, max_size=20)
_digit = "0123456789abcdef"
_parent = st.builds(
    "00-{}-{}-0{}".format,
    st.text(_digit, min_size=32, max_size=32),
    st.text(_digit, min_size=16, max_size=16),
    st.sampled_from("01"),
)
_trace = st.one_of(
    st.just((None, None)),
    st.tuples(_parent, st.none()),
    st.tuples(_parent, _words),
)


@st.composite
def _envelopes(draw: st.DrawFn) -> Envelope:
    key = draw(_words)
    traceparent, tracestate = draw(_trace)
    return Envelope(
        id=draw(_words),
        source=draw(_words),
        type=draw(_words),
        time=draw(st.datetimes(timezones=st.just(UTC))),
        subject=key,
        dataschema=draw(_words),
        partitionkey=key,
        data=draw(st.dictionaries(st.text(), _json, max_size=4)),
        correlationid=draw(_words),
        causationid=draw(st.none() | _words),
        sequence=draw(st.none() | st.integers(NUMBERS.start, NUMBERS.stop - 1)),
        traceparent=traceparent,
        tracestate=tracestate,
    )


st.register_type_strategy(Envelope, _envelopes())

# a busy machine is slow, not wrong
settings.register_profile("patient", deadline=None, suppress_health_check=(HealthCheck.too_slow,))
settings.load_profile("patient")
