"""Register, amend, read, search, erase."""

from datetime import date

import pytest
from pydantic import ValidationError
from rapport_chassis.errors import PreconditionFailed
from rapport_chassis.keyring import SubjectErased
from rapport_events.registry import StakeholderAmended, StakeholderErased, StakeholderRegistered
from registry.domain.name import NameTooShort
from registry.domain.reference import SubtypeOfAnotherCategory, UnknownCode
from registry.domain.stakeholder import ReferenceTaken, StakeholderGone, StakeholderNotFound
from registry.usecases.amend_stakeholder import Amendment, AmendStakeholder, amend_stakeholder
from registry.usecases.count_segments import CountSegments, Unmapped, count_segments
from registry.usecases.erase_person import erase_person
from registry.usecases.grant_consent import Agreement, GrantConsent, grant_consent
from registry.usecases.read_stakeholder import read_stakeholder
from registry.usecases.register_stakeholder import RegisterStakeholder, register_stakeholder
from registry.usecases.search_stakeholders import UNMAPPED, SearchStakeholders, search_stakeholders

NOBODY = "01900000-0000-7000-8000-000000000000"


def body(**facts):
    return RegisterStakeholder(
        **{"kind": "organisation", "name": "Example Organisation", "category": "statutory", **facts}
    )


def amended(stakeholder, **facts):
    return AmendStakeholder(stakeholder_id=stakeholder.id, amendment=Amendment(**facts))


async def names(memory, **question):
    found = await search_stakeholders(SearchStakeholders(**question), memory.unit())
    return [stakeholder.name for stakeholder in found]


async def test_registering_tells_all_facts_and_the_name_sealed(memory, organisation):
    stakeholder = await memory.run(register_stakeholder, organisation)
    [event] = memory.events
    assert isinstance(event, StakeholderRegistered)
    assert event.model_dump(exclude={"name"}) == {
        "stakeholder_id": stakeholder.id,
        "kind": "organisation",
        "category": "non-statutory",
        "subtype": "voluntary-and-advocacy",
        "segment": "non-police",
        "region": "wales",
        "confidence_groups": ("young-18-24", "bame"),
        "taxonomy_version": 2,
        "synthetic": True,
        "registered_on": date(2023, 6, 1),
    }
    assert event.name.subject == stakeholder.id


async def test_nothing_personal_is_at_rest_or_in_the_journal_in_clear(memory, organisation):
    await memory.run(register_stakeholder, organisation)
    kept = str(memory.documents.collections) + str(memory.journal)
    for personal in ("Example", "example", "office@", "7946", "EX-1"):
        assert personal not in kept


async def test_a_stakeholder_reads_as_it_was_registered(memory, organisation):
    registered = await memory.run(register_stakeholder, organisation)
    found = await read_stakeholder(registered.id, memory.unit())
    assert (found.name, found.email, found.phone) == (organisation.name, organisation.email, organisation.phone)
    with pytest.raises(StakeholderNotFound):
        await read_stakeholder(NOBODY, memory.unit())


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({"category": "friends"}, UnknownCode),
        ({"subtype": "friends"}, UnknownCode),
        ({"region": "atlantis"}, UnknownCode),
        ({"confidence_groups": ("giants",)}, UnknownCode),
        ({"category": "public", "subtype": "police"}, SubtypeOfAnotherCategory),
    ],
)
async def test_what_the_reference_data_does_not_have_is_refused(memory, facts, error):
    with pytest.raises(error):
        await memory.run(register_stakeholder, body(**facts))
    assert memory.events == []


@pytest.mark.parametrize(
    "facts",
    [
        {"name": ""},
        {"name": " "},
        {"name": "line\nbreak"},
        {"name": "x" * 201},
        {"email": "nobody"},
        {"email": "a@b"},
        {"email": "a b@example.org"},
        {"phone": "call me"},
        {"kind": "ghost"},
        {"category": "Statutory"},
        {"confidence_groups": ("bame", "bame")},
        {"reference": "two words"},
        {"stance": "critic"},
        {"synthetic": "yes"},
    ],
)
def test_a_malformed_command_is_refused_without_quoting_it(facts):
    with pytest.raises(ValidationError) as refused:
        body(**facts)
    assert "input_value" not in str(refused.value)


async def test_a_reference_is_taken_once(memory):
    await memory.run(register_stakeholder, body(reference="EX-1"))
    with pytest.raises(ReferenceTaken):
        await memory.run(register_stakeholder, body(reference="EX-1", name="Another"))
    await memory.run(register_stakeholder, body(reference="ex-1"))


async def test_amending_tells_the_facts_as_they_are_and_which_changed(memory, organisation):
    stakeholder = await memory.run(register_stakeholder, organisation)
    changed = await memory.run(
        amend_stakeholder,
        amended(stakeholder, category="statutory", subtype="police", email=None, region="wales"),
        expected={stakeholder.id: 1},
    )
    event = memory.events[-1]
    assert isinstance(event, StakeholderAmended)
    assert event.changed == ("email", "category", "subtype", "segment")
    assert (event.segment, event.region, event.name.subject) == ("police", "wales", stakeholder.id)
    assert (changed.version, changed.email) == (2, None)


async def test_amending_nothing_tells_nothing(memory, organisation):
    stakeholder = await memory.run(register_stakeholder, organisation)
    again = await memory.run(amend_stakeholder, amended(stakeholder, name="Example Organisation", region="wales"))
    assert again.version == 1
    assert len(memory.events) == 1


async def test_coding_anew_takes_the_version_of_the_day(memory, organisation):
    memory.now = memory.now.replace(year=2020)
    stakeholder = await memory.run(register_stakeholder, organisation)
    assert stakeholder.taxonomy_version == 1
    memory.now = memory.now.replace(year=2023)
    kept = await memory.run(amend_stakeholder, amended(stakeholder, region="london"))
    assert kept.taxonomy_version == 1
    coded = await memory.run(amend_stakeholder, amended(stakeholder, category="non-statutory"))
    assert coded.taxonomy_version == 2
    assert memory.events[-1].changed == ("taxonomy_version",)


async def test_another_category_needs_another_subtype(memory, organisation):
    stakeholder = await memory.run(register_stakeholder, organisation)
    with pytest.raises(SubtypeOfAnotherCategory):
        await memory.run(amend_stakeholder, amended(stakeholder, category="statutory", name="Other"))
    assert await names(memory, name="example") == ["Example Organisation"]
    unknown = await memory.run(amend_stakeholder, amended(stakeholder, category="statutory", subtype=None))
    assert unknown.segment is None


@pytest.mark.parametrize("field", ["kind", "name", "category", "confidence_groups"])
def test_some_facts_cannot_be_removed(field):
    with pytest.raises(ValidationError, match=f"cannot be null: {field}"):
        Amendment(**{field: None})


async def test_an_amendment_of_what_was_not_read_is_refused(memory, organisation):
    stakeholder = await memory.run(register_stakeholder, organisation)
    with pytest.raises(PreconditionFailed):
        await memory.run(amend_stakeholder, amended(stakeholder, region="london"), expected={stakeholder.id: 2})


async def test_search_by_every_dimension(memory):
    for facts in (
        {"name": "First Force", "subtype": "police", "region": "wales"},
        {"name": "First Inspectorate", "subtype": "police-accountability", "region": "london"},
        {"name": "Someone", "kind": "person", "category": "public"},
        {"name": "Made Up", "category": "media", "synthetic": True},
    ):
        await memory.run(register_stakeholder, body(**facts))
    assert await names(memory) == ["First Force", "First Inspectorate", "Someone", "Made Up"]
    assert await names(memory, region="wales") == ["First Force"]
    assert await names(memory, category="statutory") == ["First Force", "First Inspectorate"]
    assert await names(memory, subtype="police") == ["First Force"]
    assert await names(memory, segment="police-accountability") == ["First Inspectorate"]
    assert await names(memory, segment=UNMAPPED) == ["Someone", "Made Up"]
    assert await names(memory, kind="person") == ["Someone"]
    assert await names(memory, synthetic=True) == ["Made Up"]
    assert await names(memory, name="fir") == ["First Force", "First Inspectorate"]
    assert await names(memory, name="FIRST insp") == ["First Inspectorate"]
    assert await names(memory, name="irst") == []
    with pytest.raises(NameTooShort):
        await names(memory, name="f")


async def test_pages_of_a_search_by_several_words_are_full_and_complete(memory):
    for number in range(9):
        await memory.run(register_stakeholder, body(name=f"Number{number} {'Even' if number % 2 == 0 else 'Odd'} Body"))
    found, after = [], None
    while True:
        page = await search_stakeholders(SearchStakeholders(name="number ev", after=after, limit=2), memory.unit())
        found += [stakeholder.name for stakeholder in page]
        if len(page) < 2:
            break
        after = page[-1].id
    assert found == [f"Number{number} Even Body" for number in (0, 2, 4, 6, 8)]


async def test_a_new_name_is_found_and_the_old_one_is_not(memory, organisation):
    stakeholder = await memory.run(register_stakeholder, organisation)
    await memory.run(amend_stakeholder, amended(stakeholder, name="Société Générale"))
    assert await names(memory, name="societe gen") == ["Société Générale"]
    assert await names(memory, name="example") == []


async def test_erasing_leaves_only_what_counts(memory, organisation):
    stakeholder = await memory.run(register_stakeholder, organisation)
    agreement = Agreement.model_validate({"purpose": "updates", "channel": "email", "proof": "form"})
    await memory.run(grant_consent, GrantConsent(stakeholder_id=stakeholder.id, agreement=agreement))
    await memory.run(erase_person, stakeholder.id)
    [document] = memory.documents.collections["stakeholders"].values()
    left = {field: value for field, value in document.items() if value not in (None, [])}
    assert left == {
        "_id": stakeholder.id,
        "version": 3,
        "pos": document["pos"],
        "kind": "organisation",
        "name": "erased",
        "segment": "non-police",
        "region": "wales",
        "taxonomy_version": 2,
        "synthetic": True,
        "registered_on": "2023-06-01",
        "erased_on": "2023-06-01",
    }
    assert memory.documents.collections["references"] == {}
    assert memory.keyring.documents[stakeholder.id]["key"] is None
    assert memory.events[-1] == StakeholderErased(stakeholder_id=stakeholder.id, erased_on=date(2023, 6, 1))


async def test_who_was_erased_is_not_found_and_not_written_about(memory, organisation):
    stakeholder = await memory.run(register_stakeholder, organisation)
    await memory.run(erase_person, stakeholder.id)
    told = len(memory.events)
    assert (await memory.run(erase_person, stakeholder.id)).version == 2
    assert await names(memory) == []
    assert await names(memory, name="example") == []
    with pytest.raises(StakeholderGone, match="2023-06-01"):
        await memory.run(amend_stakeholder, amended(stakeholder, name="Back Again"))
    with pytest.raises(StakeholderNotFound):
        await memory.run(erase_person, NOBODY)
    assert len(memory.events) == told


async def test_an_amendment_that_races_an_erasure_cannot_bring_anything_back(memory, organisation):
    stakeholder = await memory.run(register_stakeholder, organisation)
    late = memory.unit()
    await amend_stakeholder(amended(stakeholder, name="Late Name"), late)
    await memory.run(erase_person, stakeholder.id)
    late.known_keys.clear()
    with pytest.raises(SubjectErased):
        await memory.commit(late)


async def test_the_reference_of_who_was_erased_is_free_again(memory):
    stakeholder = await memory.run(register_stakeholder, body(reference="EX-1"))
    await memory.run(erase_person, stakeholder.id)
    await memory.run(register_stakeholder, body(reference="EX-1"))


async def test_segments_are_counted_and_the_unmapped_are_listed(memory):
    for facts in (
        {"subtype": "police"},
        {"subtype": "police"},
        {"subtype": "police-accountability"},
        {"subtype": "parliamentarians"},
        {},
        {"category": "media"},
        {"category": "staff"},
        {"subtype": "police", "synthetic": True},
    ):
        await memory.run(register_stakeholder, body(**facts))
    gone = await memory.run(register_stakeholder, body(subtype="police"))
    await memory.run(erase_person, gone.id)
    real = await count_segments(CountSegments(), memory.unit())
    assert real.counts == {"police": 2, "police-accountability": 1, "non-police": 0}
    assert real.unmapped == (
        Unmapped(category="statutory", subtype="parliamentarians", count=1),
        Unmapped(category="statutory", subtype=None, count=1),
        Unmapped(category="media", subtype=None, count=1),
    )
    synthetic = await count_segments(CountSegments(synthetic=True), memory.unit())
    assert synthetic.counts["police"] == 1
    assert synthetic.unmapped == ()
