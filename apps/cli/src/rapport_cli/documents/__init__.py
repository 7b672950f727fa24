"""The documents that are written from the code: events, AsyncAPI, OpenAPI, access. `python -m rapport_cli.documents`."""
