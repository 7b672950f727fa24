"""The HTTP surface: parse, run, view. The stream of changes is in `stream.py`."""

from typing import Annotated

from fastapi import Body
from fastapi import Query as Parameter
from rapport_chassis.http import IfMatch, Query, Response, Routes, Run, allow

from measures import stream
from measures.domain.measure import FigureNotFound, MeasureNotFound
from measures.domain.settings import InvalidSettings
from measures.domain.settings_history import SettingsNotFound
from measures.usecases.change_settings import ChangeSettings, change_settings
from measures.usecases.explain_figure import ExplainFigure, explain_figure
from measures.usecases.list_lacking import Coming, Lacking, list_lacking
from measures.usecases.list_measures import ListMeasures, list_measures
from measures.usecases.load_definitions import LoadDefinitions, load_definitions
from measures.usecases.read_history import ReadHistory, read_history
from measures.usecases.read_measure import ReadMeasure, read_measure
from measures.usecases.read_populations import read_populations
from measures.usecases.read_settings import read_settings
from measures.views import (
    DefinitionsView,
    ExplanationView,
    FigureView,
    LackingView,
    MeasureView,
    OverviewView,
    PopulationsView,
    SettingsView,
)

ERRORS: dict[type[Exception], int] = {
    MeasureNotFound: 404,
    FigureNotFound: 404,
    SettingsNotFound: 404,
    InvalidSettings: 422,
}

READERS = allow("analyst", "researcher", "director", "auditor")
ANALYSTS = allow("analyst", "researcher")

Synthetic = Annotated[
    bool | None,
    Parameter(description="Figures of synthetic data. Left out: real ones as soon as a real wave is known"),
]
Region = Annotated[str | None, Parameter(max_length=64, description="Region code; left out: everyone")]
Wave = Annotated[str | None, Parameter(max_length=64, description="Wave; left out: the newest that has a figure")]
Events = Annotated[int, Parameter(ge=1, le=1_000, description="How many event ids at most")]
After = Annotated[int, Parameter(ge=0, description="`next` of the page before")]

measures = Routes(tags=["measures"])
settings = Routes(tags=["settings"])


@measures.get("/measures", access=READERS, view=OverviewView, problems=(404,))
async def list_all(query: Query, synthetic: Synthetic = None) -> Response:
    """All measures in the order of Annex B, each with its newest figure. 404 until the definitions are loaded."""
    return await query(list_measures, ListMeasures(synthetic=synthetic), view=OverviewView.of)


stream.add_to(measures, READERS)


@measures.get("/measures/{id}", access=READERS, view=MeasureView, problems=(404,))
async def read(id: str, query: Query, synthetic: Synthetic = None) -> Response:  # noqa: A002 - the name in the path
    """A measure with its newest figure, or one per region."""
    return await query(read_measure, ReadMeasure(measure=id, synthetic=synthetic), view=MeasureView.of)


@measures.get("/measures/{id}/history", access=READERS, view=list[FigureView], problems=(404,))
async def history(
    id: str,  # noqa: A002 - as above
    query: Query,
    region: Region = None,
    synthetic: Synthetic = None,
) -> Response:
    """The figures of a measure wave by wave, oldest first."""
    question = ReadHistory(measure=id, region=region, synthetic=synthetic)
    return await query(read_history, question, view=lambda found: [FigureView.of(figure) for figure in found])


@measures.get("/measures/{id}/explain", access=READERS, view=ExplanationView, problems=(404,))
async def explain(
    id: str,  # noqa: A002 - as above
    query: Query,
    wave: Wave = None,
    region: Region = None,
    synthetic: Synthetic = None,
    after: After = 0,
    limit: Events = 200,
) -> Response:
    """What a figure was made by and from, and whether counting its responses again gives the same to the last bit."""
    question = ExplainFigure(measure=id, wave=wave, region=region, synthetic=synthetic, after=after, limit=limit)
    return await query(explain_figure, question, view=ExplanationView.of)


@measures.post("/definitions/load", access=ANALYSTS, view=DefinitionsView, status=200)
async def load(run: Run) -> Response:
    """Load the measures of Annex B as the settings in force read it. What is loaded already changes nothing."""
    return await run(load_definitions, LoadDefinitions(), view=DefinitionsView.of)


@measures.get("/lacking", access=allow("operator", "analyst", "director", "auditor"), view=list[LackingView])
async def lacking(query: Query) -> Response:
    """What figures lack: events that could not be applied, or wait behind one that could not."""
    return await query(list_lacking, (), view=_all_lacking)


@measures.post("/lacking", access=allow("operator"), view=list[LackingView], status=200)
async def lacking_with_what_comes(
    coming: Annotated[list[Coming], Body(min_length=1, max_length=10_000)], query: Query
) -> Response:
    """The same with what is still to come, as `/operations/outstanding` of the other services tells. Changes nothing."""
    return await query(list_lacking, coming, view=_all_lacking)


@measures.get("/populations", access=READERS, view=list[PopulationsView])
async def populations(query: Query) -> Response:
    """How many stakeholders could be asked, per survey segment and landscape category, as the registry tells."""
    return await query(read_populations, None, view=lambda found: [PopulationsView.of(each) for each in found])


@settings.get("/settings", access=READERS, view=SettingsView, problems=(404,))
async def read_all_settings(query: Query) -> Response:
    """The settings in force and every version before. The ETag is for changing them."""
    return await query(read_settings, None, view=SettingsView.of)


@settings.patch("/settings", access=ANALYSTS, view=SettingsView, problems=(404, 412, 428))
async def change(command: ChangeSettings, run: Run, if_match: IfMatch) -> Response:
    """Change settings: the next version, by which every figure is judged anew; what was said before stays visible."""
    return await run(change_settings, command, view=SettingsView.of, expect={"settings": if_match})


def _all_lacking(found: list[Lacking]) -> list[LackingView]:
    return [LackingView.of(each) for each in found]


ROUTES = (measures, settings)
