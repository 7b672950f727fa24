"""Where the commands write: results to standard output, everything else to standard error."""

from rich.console import Console

WIDE = 165
"""Columns where there is no terminal to ask: a log or a pipe has as many as it gets."""

out = Console(highlight=False, soft_wrap=True)
if not out.is_terminal:
    out.width = WIDE
err = Console(stderr=True, highlight=False, soft_wrap=True)
