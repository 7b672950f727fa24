"""Real MongoDB and real Apache Kafka for development and tests, started and stopped by one package."""

from rapport_stack.errors import PortTakenError, StackError
from rapport_stack.kafka import KafkaServer
from rapport_stack.mongo import MongoServer
from rapport_stack.process import spawn, stop
from rapport_stack.settings import StackSettings
from rapport_stack.stack import Endpoints, Stack

__all__ = [
    "Endpoints",
    "KafkaServer",
    "MongoServer",
    "PortTakenError",
    "Stack",
    "StackError",
    "StackSettings",
    "spawn",
    "stop",
]
