"""What the demo shows: its phases with their times, and the figures while they fill."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.live import Live

from rapport_cli.board import Board, table

REDRAW: Final = 0.25


class Show:
    """Writes to one console; draws a live table where it is a terminal, and lines only where it is not."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.started = time.monotonic()
        self.times: dict[str, float] = {}

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.started

    @contextmanager
    def phase(self, title: str) -> Iterator[None]:
        """Name what happens now, and say how long it took."""
        self.console.print(f"\n[bold]▸ {title}[/]  [dim]{self.elapsed:5.1f} s[/]")
        begun = time.monotonic()
        yield
        self.times[title] = time.monotonic() - begun

    def line(self, text: str) -> None:
        self.console.print(f"  {text}")

    @contextmanager
    def filling(self, board: Board) -> Iterator[None]:
        """Draw the board while something fills it."""
        if not self.console.is_terminal:
            yield
            return
        ending = threading.Event()
        with Live(table(board, short=True), console=self.console, auto_refresh=False, transient=True) as live:

            def draw() -> None:
                while not ending.wait(REDRAW):
                    live.update(table(board, short=True), refresh=True)

            artist = threading.Thread(target=draw, name="artist", daemon=True)
            artist.start()
            try:
                yield
            finally:
                ending.set()
                artist.join()

    def verdicts(self, board: Board) -> str:
        """How often each verdict stands on the board."""
        counts = Counter(figure["words"] for figure in board.figures.values())
        return ", ".join(f"{words} {count}" for words, count in counts.most_common())
