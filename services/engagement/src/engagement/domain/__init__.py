"""Rules of engagement: what was done, promised and answered. Standard library only."""
