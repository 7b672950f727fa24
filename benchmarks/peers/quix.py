"""quixstreams as its documentation has it: state per key in RocksDB, each change of it told to a changelog topic.

Its topic is keyed by region here, so that it need not be repartitioned before it is counted; ours has no such help.
At least once, its default: after a crash some responses are counted twice (`exactly-once` would be Kafka transactions).
Numbers are not checked, there is neither evidence behind the tallies nor a verdict, and nobody else can query the state.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from quixstreams import Application
from quixstreams.kafka import ConnectionConfig

if TYPE_CHECKING:
    from pathlib import Path

    from quixstreams.state import State
    from rapport_stack import Endpoints

    from benchmarks.reading import Stretch


def fold(servers: Endpoints, topic: str, folder: Path, stretch: Stretch) -> int:
    """Count the topic's responses. How many the state holds in the end."""
    application = Application(
        broker_address=ConnectionConfig(
            bootstrap_servers=servers.kafka_bootstrap,
            security_protocol="sasl_plaintext",
            sasl_mechanism=servers.kafka_mechanism,
            sasl_username=servers.kafka_username,
            sasl_password=SecretStr(servers.kafka_password),
        ),
        consumer_group=f"quix-{uuid.uuid4()}",
        auto_offset_reset="earliest",
        state_dir=folder,
        loglevel="ERROR",
        commit_every=5_000,
    )
    source = application.topic(topic, value_deserializer="json", key_deserializer="str")
    frame = application.dataframe(source)
    counted: dict[str, int] = {}

    def count(response: dict[str, Any], state: State) -> None:
        stretch.begin()
        tallies = state.get("tallies", {})
        cells = ["all", *(f"group:{code}" for code in response["groups"])]
        weight = response["weight"]
        for question, answer in response["answers"].items():
            for cell in cells:
                tally = tallies.setdefault(f"{question}/{cell}/{answer}", [0, 0, 0])
                tally[0] += 1
                tally[1] += weight
                tally[2] += weight * weight
        responses = state.get("responses", 0) + 1
        state.set("tallies", tallies)
        state.set("responses", responses)
        counted[response["region"]] = responses

    frame = frame.update(count, stateful=True)
    application.run(count=stretch.count, timeout=30)
    stretch.add(stretch.count)  # its last checkpoint is behind it: state, changelog and offsets are flushed
    return sum(counted.values())
