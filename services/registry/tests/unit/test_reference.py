"""The reference data, and how a stakeholder is coded with it."""

from datetime import date

import pytest
from registry.domain.reference import SubtypeOfAnotherCategory, UnknownCode, parse, reference

TODAY = date(2023, 6, 1)


def test_the_fifteen_subtypes_map_to_one_category_each():
    by_category: dict[str, int] = {}
    for subtype in reference().subtypes.values():
        by_category[subtype.category] = by_category.get(subtype.category, 0) + 1
    assert by_category == {"service-users": 5, "statutory": 5, "non-statutory": 3, "public": 2}


def test_media_and_staff_are_categories_and_staff_is_internal():
    categories = reference().categories
    assert set(categories) == {"service-users", "non-statutory", "statutory", "public", "media", "staff"}
    assert [c.code for c in categories.values() if c.internal] == ["staff"]
    assert "staff" not in reference().surveyed()


def test_there_are_six_regions_with_a_first_day():
    assert len(reference().regions) == 6
    assert {region.valid_from for region in reference().regions.values()} == {date(2019, 4, 1)}


@pytest.mark.parametrize(
    ("category", "subtype", "segment"),
    [
        ("statutory", "police", "police"),
        ("statutory", "police-accountability", "police-accountability"),
        ("non-statutory", "academics", "non-police"),
        ("statutory", "parliamentarians", None),
        ("statutory", "other-overseen-bodies", None),
        ("service-users", "police-subjects", None),
        ("public", "general-public", None),
        ("statutory", None, None),
        ("staff", None, None),
    ],
)
def test_the_cross_walk_gives_a_segment_or_none_and_never_guesses(category, subtype, segment):
    assert reference().landscape(category, subtype, TODAY).segment == segment


def test_every_segment_of_the_cross_walk_names_its_ground():
    assert all(s.segment_basis for s in reference().subtypes.values() if s.segment)


def test_unknown_codes_are_refused_with_those_that_are_known():
    with pytest.raises(UnknownCode, match="unknown category: one of service-users"):
        reference().landscape("friends", None, TODAY)
    with pytest.raises(UnknownCode, match="unknown subtype"):
        reference().landscape("public", "friends", TODAY)
    with pytest.raises(UnknownCode, match="unknown region"):
        reference().check_region("atlantis", TODAY)
    with pytest.raises(UnknownCode, match="unknown confidence group"):
        reference().check_groups(["young-18-24", "giants"], TODAY)


def test_a_subtype_belongs_to_its_category():
    with pytest.raises(SubtypeOfAnotherCategory, match="police is a subtype of statutory, not of public"):
        reference().landscape("public", "police", TODAY)


@pytest.mark.parametrize(
    ("day", "version", "label"),
    [
        (date(2018, 1, 1), 1, "BAME"),
        (date(2019, 4, 1), 1, "BAME"),
        (date(2022, 9, 7), 1, "BAME"),
        (date(2022, 9, 8), 2, "Black, Asian and minority ethnic"),
    ],
)
def test_a_group_keeps_its_code_and_changes_its_label_with_the_version(day, version, label):
    assert reference().version_on(day).number == version
    assert reference().confidence_groups["bame"].label_in(version) == label


def test_a_code_is_valid_between_its_days():
    data = {
        "versions": [{"number": 1, "valid_from": "2019-04-01", "source": "a test"}],
        "categories": [{"code": "public", "label": "Public", "internal": False}],
        "subtypes": [],
        "segments": [],
        "crosswalk": [],
        "regions": [{"code": "old", "label": "Old", "valid_from": "2019-04-01", "valid_to": "2020-03-31"}],
        "confidence_groups": [],
    }
    found = parse(data)
    found.check_region("old", date(2020, 3, 31))
    for day in (date(2019, 3, 31), date(2020, 4, 1)):
        with pytest.raises(UnknownCode):
            found.check_region("old", day)


@pytest.mark.parametrize(
    ("part", "entries", "message"),
    [
        ("subtypes", [{"code": "a", "label": "A", "category": "nowhere"}], "of no category"),
        ("crosswalk", [{"subtype": "nobody", "segment": "police"}], "leads nowhere"),
        ("regions", [{"code": "a", "label": "A"}, {"code": "a", "label": "B"}], "there twice"),
    ],
)
def test_data_that_does_not_fit_together_is_refused(part, entries, message):
    data = {
        "versions": [{"number": 1, "valid_from": "2019-04-01", "source": "a test"}],
        "categories": [],
        "subtypes": [],
        "segments": [{"code": "police", "label": "Police"}],
        "crosswalk": [],
        "regions": [],
        "confidence_groups": [],
    }
    with pytest.raises(ValueError, match=message):
        parse({**data, part: entries})
