"""Grounds that several families stand on: faults of one ground share a platform."""

from tests.faults.scene import Ground

UNSENT_LIMIT = 150
"""Unsent events of one service from which it refuses writes here; 100,000 is what a service is given."""

THREE_BROKERS = Ground("three brokers", brokers=3, settings={"RAPPORT_UNSENT_LIMIT": str(UNSENT_LIMIT)})

THREE_MONGODS = Ground("three mongods", mongods=3, mongod_parameters={"enableTestCommands": "1"})
"""MongoDB's own test commands let a server fail as it is told to."""
