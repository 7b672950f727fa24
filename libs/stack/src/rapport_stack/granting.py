"""`python -m rapport_stack.granting`: make a MongoDB a replica set of one and grant what principals may do there and at Kafka.

For servers that somebody else starts, docker-compose.yml for one; run at every start, it finds most things done.
"""

import argparse
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pymongo.errors import PyMongoError

from rapport_stack.kafka_access import Broker
from rapport_stack.mongo import initiate
from rapport_stack.mongo_users import KEY, client_of_key, grant
from rapport_stack.principals import ADMINISTRATOR, Credentials, Principal, principals_in
from rapport_stack.settings import EnvironmentCredentials

PATIENCE: Final = 120.0


def main() -> int:
    """Exit status: 0 granted, 1 a server does not answer as it should."""
    parser = argparse.ArgumentParser(prog="python -m rapport_stack.granting", description=__doc__)
    parser.add_argument("principals", type=Path, help="deploy/principals.json")
    parser.add_argument("--mongo", required=True, help="host:port, as members of its replica set will know it")
    parser.add_argument("--kafka", required=True, help="host:port of a broker")
    parser.add_argument("--database-prefix", default="", help="RAPPORT_MONGO_DATABASE_PREFIX of the services")
    asked = parser.parse_args()
    principals = principals_in(asked.principals, asked.database_prefix)
    credentials = EnvironmentCredentials()
    done = _in_time("MongoDB", lambda: _mongo(asked.mongo, principals, credentials))
    return 0 if _in_time("Kafka", lambda: _kafka(asked.kafka, principals, credentials)) and done else 1


def _mongo(host: str, principals: tuple[Principal, ...], credentials: Credentials) -> bool:
    # A new client each time: one that has seen the server before it was a replica set does not believe it later.
    with client_of_key(host, credentials.password(KEY), serverSelectionTimeoutMS=1_000) as alone:
        hello = alone.admin.command("hello")
        if "setName" not in hello:
            initiate(alone, [host])
        elif hello["isWritablePrimary"]:
            grant(alone, principals, credentials)
            return True
    return False


def _kafka(address: str, principals: tuple[Principal, ...], credentials: Credentials) -> bool:
    host, _, port = address.rpartition(":")
    with Broker(int(port), ADMINISTRATOR, credentials.password(ADMINISTRATOR), host) as broker:
        return broker.grant(principals)


def _in_time(brand: str, granted: Callable[[], bool]) -> bool:
    reason = "it is not ready"
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if granted():
                return True
        except (PyMongoError, OSError, ValueError, struct.error) as error:
            reason = str(error)[:300]
        time.sleep(0.2)
    sys.stderr.write(f"{brand}: {reason}\n")
    return False


if __name__ == "__main__":
    sys.exit(main())
