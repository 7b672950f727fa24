"""docs/openapi/<service>.json: OpenAPI 3.1 as the running service would serve it."""

import json

from rapport_chassis.service import Service

from rapport_cli.documents.house import app_of


def openapi_document(service: Service) -> str:
    """JSON text, in the order of the routes."""
    return json.dumps(app_of(service).openapi(), indent=2, ensure_ascii=False) + "\n"
