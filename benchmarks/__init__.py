"""Measurements against what a user would pick and against the floor."""
