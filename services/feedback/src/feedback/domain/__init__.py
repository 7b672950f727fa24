"""The rules of feedback, in plain Python."""
