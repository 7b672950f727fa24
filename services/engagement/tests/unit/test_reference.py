"""The reference data agree with the codes, and with the source's table (demand D11)."""

from engagement.domain.participation import Level, Method, Nature
from engagement.domain.reference import reference
from rapport_events import engagement as wire


def test_every_code_is_described_once_and_in_order():
    data = reference()
    assert [step.code for step in data.levels] == list(Level)
    assert [nature.code for nature in data.natures] == list(Nature)
    assert [method.code for method in data.methods] == list(Method)


def test_the_ladder_has_the_sources_examples():
    assert [len(step.examples) for step in reference().levels] == [7, 5, 3, 2]


def test_there_are_ten_methods_and_the_meeting():
    assert len(reference().methods) == 10 + 1
    assert reference().methods[-1].code == "meeting"


def test_codes_are_those_on_the_wire():
    assert list(Level) == list(wire.ParticipationLevel)
    assert list(Nature) == list(wire.Nature)
