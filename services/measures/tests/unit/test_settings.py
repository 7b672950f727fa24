import json
from decimal import Decimal

import pytest
from measures.domain.settings import InvalidSettings, Settings


def test_the_defaults_are_the_suggested_ones():
    settings = Settings()
    assert settings.version == 1
    assert settings.error == 0.05
    assert settings.bi_annual == "twice a year"  # AMB1
    assert (settings.annual_increase, settings.annual_increase_reading) == (Decimal("0.02"), "points")  # AMB2
    assert (settings.floor_amber, settings.floor_red, settings.floor_holm) == (Decimal("0.02"), Decimal("0.03"), True)
    assert settings.maintained_margin == Decimal("0.02")  # AMB4
    assert settings.trend_waves == 3  # AMB5
    assert settings.young_age_band == "18-24"  # AMB6
    assert settings.ethnic_minority_group == "bame"  # AMB7
    assert settings.stakeholder_group_dimension == "survey segment"  # AMB8
    assert settings.wording_breaks_series  # AMB9
    assert settings.easy_counts == ("very-easy", "fairly-easy")  # AMB10
    assert settings.linked_measures == {"COR-4": "PPT-1b"}  # AMB11


def test_a_change_is_the_next_version_and_leaves_the_old_one_alone():
    first = Settings()
    second = first.changed(maintained_margin="0.03", known_baselines={"REG-1": "0.35"})
    assert (first.version, first.maintained_margin) == (1, Decimal("0.02"))
    assert (second.version, second.maintained_margin) == (2, Decimal("0.03"))
    assert second.known_baselines == {"REG-1": Decimal("0.35")}


def test_to_plain_json_and_back():
    settings = Settings().changed(bi_annual_exceptions={"COR-3": "every two years"}, baseline_bases={"PPT-1a": 1000})
    assert Settings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


@pytest.mark.parametrize(
    "changes",
    [
        {"margin": "0.02"},
        {"version": 7},
        {"level": "1"},
        {"level": "0.3"},
        {"level": 0.95},
        {"maintained_margin": "NaN"},
        {"maintained_margin": "two"},
        {"floor_red": "0.01"},
        {"trend_waves": 1},
        {"suppression_base": 0},
        {"suppression_base": True},
        {"floor_holm": "yes"},
        {"bi_annual": "now and then"},
        {"easy_counts": "very-easy"},
        {"stakeholder_group_dimension": "mood"},
        {"baseline_bases": {"PPT-1a": "many"}},
        {"baseline_bases": {"PPT-1a": 0}},
        {"known_baselines": {"REG-1": "35"}},
        {"bi_annual_exceptions": {"COR-3": "now and then"}},
        {"easy_counts": []},
    ],
)
def test_nonsense_is_refused(changes):
    with pytest.raises(InvalidSettings):
        Settings().changed(**changes)
