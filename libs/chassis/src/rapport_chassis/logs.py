"""Logs: one line an event, the same for our own words and for those of the libraries.

What may stand in a line is a list of what is allowed: plain values, short and without control characters; anything else
shows as its type. An exception shows as its class and where it was raised, without local values, and without its text
unless its class says `loggable = True`: drivers quote documents in theirs.
"""

from __future__ import annotations

import logging
import math
import re
import sys
from contextlib import suppress
from datetime import date, datetime
from enum import Enum
from traceback import walk_tb
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
import structlog
from opentelemetry.trace import get_current_span
from structlog.stdlib import ProcessorFormatter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType
    from typing import TextIO

    from structlog.typing import EventDict, Processor, WrappedLogger

REDACTED = "[redacted]"

_LONGEST = 500
_MOST = 20  # elements of a list, entries of a mapping, frames of an exception
_DEEPEST = 3
_LARGEST_NUMBER = 2**53
_REPEATED_AFTER = 10.0
"""Seconds in which a library that repeats itself is heard once."""
_REMEMBERED = 256
"""Messages."""

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
_BREAKS = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
# Control characters, lone surrogates, and what is invisible or turns the direction of what follows.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
_PERSONAL_TEXT = re.compile(
    r"(?<=//)[^/\s@]+(?=@)"  # user and password in a connection string
    r"|[^\s@<>()\"',;:=]{1,64}@[^\s@<>()\"',;:=/]+\.[^\s@<>()\"',;:=/]+"  # e-mail address
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]*"  # JSON Web Token
    r"|(?<=[Bb]earer )\S+"
)
_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
# fmt: off
_PERSONAL_KEYS = frozenset((
    "address", "addresses", "answer", "answers", "authorization", "birthday", "body", "comment", "cookie", "cookies",
    "credential", "credentials", "email", "emails", "firstname", "headers", "ip", "lastname", "mail", "mobile", "name",
    "names", "notes", "password", "payload", "phone", "query", "secret", "secrets", "text", "token", "tokens", "uri",
    "url", "username",
))
# fmt: on
_OWN = ("ts", "level", "service", "logger", "event", "trace_id", "span_id")


def configure(service: str, *, level: str = "INFO", json: bool | None = None, stream: TextIO | None = None) -> None:
    """Log this process to `stream` (standard error) from now on: everything of `level` and above.

    `json` None: coloured lines on a terminal, JSON lines elsewhere.
    """
    stream = sys.stderr if stream is None else stream
    as_json = not stream.isatty() if json is None else json
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
    ]
    handler = _Handler(stream)
    handler.addFilter(_without_exception_text)
    handler.addFilter(_Repeated("aiokafka"))
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[*shared, _first_line_of_asyncio],
            processors=[
                ProcessorFormatter.remove_processors_meta,
                _Guard(service),
                _json if as_json else _Terminal(),
            ],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(threshold)
    _quieten(threshold)
    structlog.configure(
        processors=[*shared, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    sys.excepthook = _last_words


def _quieten(threshold: int) -> None:
    """Libraries speak through the root logger only, and not of every message, command or request."""
    # An access line holds the client's address and the ids in the path; the server span and the metrics tell the rest.
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "faststream"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"
    logging.getLogger("uvicorn.access").addHandler(logging.NullHandler())
    for name in ("pymongo", "aiokafka", "faststream", "httpx", "httpcore", "urllib3", "opentelemetry"):
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    # Of every connection, and there is one every few seconds; the service says it once, at its start.
    logging.getLogger("aiokafka.conn").addFilter(_not_in_the_clear)


def _not_in_the_clear(record: logging.LogRecord) -> bool:
    return record.msg != "Sending username and password in the clear"


class _Repeated:
    """Lets a message of this library through once in a while, with how often it was left out since.

    While the brokers are away aiokafka says so with every attempt, dozens of times a second: what else happens drowns.
    """

    def __init__(self, library: str) -> None:
        self._library = library
        self._said: dict[tuple[str, str, str], tuple[float, int]] = {}

    def __call__(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] != self._library:
            return True
        message = record.name, str(record.msg), str(record.args)
        since, left_out = self._said.get(message, (-math.inf, 0))
        if abs(record.created - since) < _REPEATED_AFTER:
            self._said[message] = since, left_out + 1
            return False
        if len(self._said) >= _REMEMBERED:
            self._said.clear()
        self._said[message] = record.created, 0
        if left_out:
            record.msg = f"{record.msg} ({left_out} times more since this was last said)"
        return True


class _Handler(logging.StreamHandler["TextIO"]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        """A line that cannot be formatted: the standard library would print it raw, with all its values."""
        with suppress(OSError, ValueError):
            self.stream.write(_json(None, "", {"level": "error", "event": "line not written", "logger": record.name}))
            self.stream.write(self.terminator)


class _Guard:
    """The last look at a line: own fields first, everything cleaned, exceptions without their text."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, _logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
        context = get_current_span().get_span_context()
        if context.is_valid:
            fields["trace_id"], fields["span_id"] = f"{context.trace_id:032x}", f"{context.span_id:016x}"
        fields["service"] = self._service
        error = _error_of(fields.pop("exc_info", None))
        fields.pop("stack_info", None)
        line: EventDict = {name: clean(fields.pop(name)) for name in _OWN if name in fields}
        line.update(_clean_mapping(fields, 1))
        if error is not None:
            line["exception"] = _described(error)
        return line


def clean(value: object, depth: int = 1) -> Any:
    """`value` as it may stand in a line: a plain value, lists and mappings of them, or the name of its type."""
    if depth <= _DEEPEST and isinstance(value, dict):
        return _clean_mapping(value, depth)
    if depth <= _DEEPEST and isinstance(value, list | tuple | set | frozenset):
        return [clean(element, depth + 1) for element, _ in zip(value, range(_MOST), strict=False)]
    return _clean_scalar(value)


def _clean_scalar(value: object) -> Any:
    match value:
        case None | bool():
            shown: Any = value
        case Enum():
            shown = _clean_scalar(value.value)
        case str():
            shown = _clean_text(value)
        case int():
            # Beyond it a JSON reader rounds, and Python refuses to write very long numbers out.
            shown = value if abs(value) <= _LARGEST_NUMBER else hex(value)[:_LONGEST]
        case float():
            shown = value if math.isfinite(value) else str(value)
        case date() | UUID():  # a datetime is a date
            shown = str(value)
        case type():
            shown = _clean_text(value.__qualname__)
        case _:
            shown = f"<{type(value).__qualname__}>"
    return shown


def _clean_mapping(mapping: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    return {
        (key := _clean_text(str(name))): REDACTED if _is_personal(key) else clean(value, depth + 1)
        for (name, value), _ in zip(mapping.items(), range(_MOST), strict=False)
    }


def _clean_text(text: str) -> str:
    shortened = text[: 4 * _LONGEST]  # before the expressions: a line costs the same whatever it is given
    shown = _PERSONAL_TEXT.sub(REDACTED, _UNSEEN.sub("", _BREAKS.sub(" ", _ANSI.sub("", shortened))))
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"


def _is_personal(key: str) -> bool:
    return not _PERSONAL_KEYS.isdisjoint(word.lower() for word in _WORDS.findall(key))


def _error_of(exc_info: object) -> BaseException | None:
    match exc_info:
        case BaseException():
            return exc_info
        case (_, BaseException() as error, _):
            return error
        case True:
            return sys.exception()
        case _:
            return None


def _described(error: BaseException, depth: int = 1) -> dict[str, Any]:
    described: dict[str, Any] = {"type": f"{type(error).__module__}.{type(error).__qualname__}"}
    # Said by the class itself: one that inherits from a safe class may add what is not.
    if vars(type(error)).get("loggable") is True:
        described["message"] = _clean_text(str(error))
    if isinstance(code := getattr(error, "code", None), int):
        described["code"] = code
    described["frames"] = [
        f"{frame.f_globals.get('__name__', '?')}:{line} {frame.f_code.co_qualname}"
        for frame, line in walk_tb(error.__traceback__)
    ][-_MOST:]
    if depth <= _DEEPEST:
        if isinstance(error, BaseExceptionGroup):
            described["exceptions"] = [_described(each, depth + 1) for each in error.exceptions[:_MOST]]
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is not None:
            described["cause"] = _described(cause, depth + 1)
    return described


def _without_exception_text(record: logging.LogRecord) -> bool:
    """A library that logs an exception as a value would write out its text."""
    if isinstance(record.msg, BaseException):
        record.msg = type(record.msg).__qualname__
    if isinstance(record.args, tuple):
        record.args = tuple(
            type(value).__qualname__ if isinstance(value, BaseException) else value for value in record.args
        )
    return True


def _first_line_of_asyncio(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    """asyncio appends the task that failed, which quotes the exception it failed with."""
    if fields["logger"] == "asyncio":
        fields["event"] = fields["event"].partition("\n")[0]
    return fields


def _json(_logger: WrappedLogger, _method: str, line: EventDict) -> str:
    return orjson.dumps(line).decode()


class _Terminal:
    """A line for people: the time of day, the first digits of the trace, and an exception below it."""

    def __init__(self) -> None:
        self._render = structlog.dev.ConsoleRenderer(colors=True, timestamp_key="ts", sort_keys=False)

    def __call__(self, logger: WrappedLogger, method: str, line: EventDict) -> str:
        line["ts"] = f"{datetime.fromisoformat(line['ts']).astimezone():%H:%M:%S}"
        line.pop("span_id", None)
        if "trace_id" in line:
            line["trace_id"] = line["trace_id"][:8]
        if "exception" in line:
            line["exception"] = "\n".join(_told(line["exception"]))
        return self._render(logger, method, line)


def _told(described: dict[str, Any], indent: str = "  ") -> Iterator[str]:
    message = f": {described['message']}" if "message" in described else ""
    yield f"{indent}{described['type']}{message}"
    yield from (f"{indent}  {frame}" for frame in described["frames"])
    for each in (*described.get("exceptions", ()), *((described["cause"],) if "cause" in described else ())):
        yield from _told(each, indent + "  ")


def _last_words(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """What ends the process is logged as every other exception is; a stop from the keyboard is not news."""
    if issubclass(kind, Exception):
        structlog.get_logger(__name__).critical("the process ends", exc_info=(kind, error, traceback))
    else:
        sys.__excepthook__(kind, error, traceback)
