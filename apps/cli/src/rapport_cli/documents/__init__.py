"""The documents that are written from the code: events, AsyncAPI, OpenAPI, access, licences. `python -m rapport_cli.documents`."""
