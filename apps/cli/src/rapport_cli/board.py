"""The measures on one page, kept current by the stream of the measures service."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

import httpx
from rich.table import Table
from rich.text import Text

from rapport_cli.client import Client

BAR: Final = 20
"""Characters for 100 %."""
SHORT: Final = 18
SHARE: Final = BAR + len(" 100.0 %")

COLOURS: Final = {
    "met": "green",
    "not_met": "red",
    "cannot_tell": "yellow",
    "too_early": "cyan",
    "no_baseline": "cyan",
    "suppressed": "bright_black",
    "series_broken": "magenta",
    "monitored": "blue",
}
RECONNECT_AFTER: Final = 1.0
QUIET: Final = 30.0
"""Seconds without even a heartbeat after which the line is dead."""

Figure = dict[str, Any]
Definition = dict[str, Any]


class Board:
    """The newest figure of every measure and region. Several threads may read while one keeps it."""

    def __init__(self) -> None:
        self.definitions: dict[str, Definition] = {}
        self.figures: dict[tuple[str, str], Figure] = {}
        self.synthetic = False
        self.changes = 0

    def fill(self, overview: dict[str, Any]) -> None:
        """Take everything from `GET /measures`."""
        self.synthetic = overview["synthetic"]
        for item in overview["items"]:
            self.definitions[item["id"]] = item
            for figure in [item["figure"], *item["regions"]]:
                if figure is not None:
                    self.take(figure)

    def take(self, figure: Figure) -> None:
        """A figure as it is now; one of an earlier wave does not replace that of a later one."""
        key = (figure["measure"], figure["subject_key"])
        known = self.figures.get(key)
        if known is None or known["ordinal"] <= figure["ordinal"]:
            self.figures = {**self.figures, key: figure}
            self.changes += 1

    def rows(self) -> Iterator[tuple[Definition, Figure | None]]:
        """Definitions in the order of Annex B, regions below their measure."""
        figures = self.figures
        for id_, definition in self.definitions.items():
            own = sorted(key for key in figures if key[0] == id_)
            if not own:
                yield definition, None
            for key in own:
                yield definition, figures[key]


def table(board: Board, *, short: bool = False) -> Table:
    """All figures; `short` leaves out what a small window has no place for, and all regions but the lowest."""
    title = "Measures (synthetic data)" if board.synthetic else "Measures"
    drawn = Table(title=title, box=None, pad_edge=False, title_justify="left", title_style="bold")
    drawn.add_column("measure", no_wrap=True)
    drawn.add_column("group", no_wrap=True, max_width=SHORT if short else None)
    for column in ("wave", "base"):
        drawn.add_column(column, justify="right", no_wrap=True, min_width=len(column))
    drawn.add_column("share", no_wrap=True, min_width=SHARE)
    for column in ("target",) if short else ("95 % interval", "baseline", "target"):
        drawn.add_column(column, justify="right", no_wrap=True)
    drawn.add_column("verdict", no_wrap=True)
    for definition, figure in _shortened(board) if short else board.rows():
        cells = _cells(definition, figure)
        drawn.add_row(*(cells[:5] + cells[7:] if short else cells))
    return drawn


def _shortened(board: Board) -> Iterator[tuple[Definition, Figure | None]]:
    """Of every regional measure only the region with the lowest share."""
    lowest: dict[str, tuple[Definition, Figure | None]] = {}
    for definition, figure in board.rows():
        held = lowest.get(definition["id"])
        if held is None or _share_of(figure) < _share_of(held[1]):
            lowest[definition["id"]] = (definition, figure)
    yield from lowest.values()


def _share_of(figure: Figure | None) -> float:
    return 2.0 if figure is None or figure["share"] is None else float(figure["share"])


def _cells(definition: Definition, figure: Figure | None) -> list[str | Text]:
    baseline = percent(definition["baseline"]) if definition["baseline"] is not None else ""
    if figure is None:
        return [
            definition["id"],
            definition["group"],
            "",
            "0",
            "",
            "",
            baseline,
            "",
            Text("no answers", "bright_black"),
        ]
    where = definition["group"] if figure["subject_key"] == "all" else figure["subject_key"]
    interval = figure["interval"]
    return [
        definition["id"],
        where,
        str(figure["ordinal"]),
        f"{figure['base']:,}",
        _bar(figure["share"]),
        f"{100 * interval['low']:.1f} to {100 * interval['high']:.1f}" if interval else "",
        baseline,
        target(figure),
        verdict(figure),
    ]


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def target(figure: Figure) -> str:
    """The threshold in the unit of what it is a threshold of."""
    threshold, statistic = figure["threshold"], figure["statistic"]
    if threshold is None:
        return ""
    if statistic == "share":
        return percent(threshold)
    sign = "≥" if threshold else ">"
    return f"{sign} {100 * threshold:+.0f} points" if threshold else f"{statistic} > 0"


def verdict(figure: Figure) -> Text:
    """The verdict with what qualifies it."""
    text = Text(figure["words"], COLOURS[figure["verdict"]])
    if figure["severity"]:
        text.append(f" {figure['severity']}", "bold red" if figure["severity"] == "red" else "dark_orange")
    if figure["qualifier"]:
        text.append(f" ({figure['qualifier']})", "dim")
    if figure["needs_n"]:
        needed = figure["needs_n"]
        text.append(f" ({needed})" if isinstance(needed, str) else f" (needs {needed:,})", "dim")
    if figure["provisional"]:
        text.append(" provisional", "italic dim")
    return text


def _bar(share: float | None) -> Text:
    if share is None:
        return Text("not shown", "bright_black")
    filled = round(share * BAR)
    return Text.assemble(("█" * filled, "cyan"), ("░" * (BAR - filled), "bright_black"), f" {percent(share)}")


class Follower:
    """Keeps a board current from `GET /measures/stream`, in a thread of its own, until `stop`."""

    def __init__(self, client: Client, board: Board, *, synthetic: bool | None = None) -> None:
        self._client = client
        self._board = board
        self._synthetic = {} if synthetic is None else {"synthetic": str(synthetic).lower()}
        self._ending = threading.Event()
        self.told: Callable[[Figure], None] = lambda _: None
        self._line: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Hang up, so that the service need not wait for us to hear of it."""
        self._ending.set()
        line = self._line
        if line is not None:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._ending.is_set():
            with suppress(httpx.HTTPError):
                self._listen()
            self._ending.wait(RECONNECT_AFTER)

    def _listen(self) -> None:
        url = self._client.url("measures", "/measures/stream")
        timeout = httpx.Timeout(5.0, read=QUIET)
        with self._client.http.stream("GET", url, params=self._synthetic, timeout=timeout) as answer:
            answer.raise_for_status()
            self._line = answer.extensions["network_stream"].get_extra_info("socket")
            kind = ""
            for line in answer.iter_lines():
                if self._ending.is_set():
                    return
                field, _, value = line.partition(":")
                if field == "event":
                    kind = value.strip()
                elif field == "data":
                    self._hear(kind, value.strip())

    def _hear(self, kind: str, data: str) -> None:
        if kind == "figure":
            figure: Figure = json.loads(data)
            self._board.take(figure)
            self.told(figure)
        elif kind in {"ready", "reset"}:
            answer = self._client.http.get(self._client.url("measures", "/measures"), params=self._synthetic)
            if answer.is_success:
                self._board.fill(answer.json())


def wait_until(condition: Callable[[], bool], *, seconds: float, every: float = 0.1) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True
