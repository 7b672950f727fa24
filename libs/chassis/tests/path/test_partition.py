"""Which partition a key belongs to: the journal must say what Kafka's own clients say."""

from aiokafka.partitioner import murmur2 as by_bytes
from hypothesis import given
from hypothesis import strategies as st
from rapport_chassis.journal import murmur2


@given(st.binary(max_size=80))
def test_the_hash_is_that_of_kafka(key: bytes) -> None:
    assert murmur2(key) == by_bytes(key) & 0xFFFFFFFF
