"""Rules of the registry; standard library only."""
