"""A check of our own for Schemathesis, which imports this file (schemathesis.toml)."""

import schemathesis
from schemathesis import Case, CheckContext, GenerationMode, Response

SAID_BY_SCHEMAS = ("Input should", "String should", "List should", "Tuple should", "Field required", "Extra inputs")
"""How the validator begins where a schema says the same; the house's own rules have other words."""

FRACTION = "Input should be a valid integer"
"""Of 1.0, which is an integer to JSON Schema and none here (B10)."""

UNPROCESSABLE = 422


@schemathesis.check
def what_fits_is_not_told_that_it_does_not(ctx: CheckContext, response: Response, case: Case) -> None:
    """Data made to fit a schema are not refused for what the schema says."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    if response.status_code == UNPROCESSABLE:
        errors = response.json().get("errors", ())
        said = [error["detail"] for error in errors]
        rules = [detail for detail in said if detail == FRACTION or not detail.startswith(SAID_BY_SCHEMAS)]
        assert rules or not errors, f"the description allows what is refused: {errors}"
