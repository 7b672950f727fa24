import asyncio
import datetime as dt
import io
import json
import logging
import sys
import uuid
from dataclasses import dataclass

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pymongo import AsyncMongoClient
from pymongo.errors import DuplicateKeyError
from rapport_chassis import logs
from rapport_chassis.telemetry import span

log = structlog.get_logger("example.module")


class Lines(io.StringIO):
    terminal = False

    def isatty(self):
        return self.terminal

    def take(self):
        """The JSON lines written so far."""
        return [json.loads(line) for line in self.getvalue().splitlines()]

    def last(self):
        return self.take()[-1]


@pytest.fixture
def restored():
    root, hook = logging.getLogger(), sys.excepthook
    handlers, level, settings = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:], sys.excepthook = handlers, hook
    root.setLevel(level)
    structlog.configure(**settings)


@pytest.fixture
def lines(restored):
    stream = Lines()
    logs.configure("example", stream=stream)
    return stream


def test_a_line_is_json_with_the_fields_of_every_line_first(lines):
    log.info("events sent", topic="registry.stakeholder", count=3)
    line = lines.last()
    assert list(line) == ["ts", "level", "service", "logger", "event", "topic", "count"]
    assert dt.datetime.fromisoformat(line["ts"]).tzinfo is not None
    assert (line["level"], line["service"], line["event"]) == ("info", "example", "events sent")
    assert (line["topic"], line["count"]) == ("registry.stakeholder", 3)


def test_a_line_within_a_span_names_it(lines, traces):
    with span("work") as current:
        log.info("inside")
        logging.getLogger("a.library").warning("inside as well")
    context = current.get_span_context()
    for line in lines.take():
        assert (line["trace_id"], line["span_id"]) == (f"{context.trace_id:032x}", f"{context.span_id:016x}")
    log.info("outside")
    assert "trace_id" not in lines.last()


def test_levels_below_the_threshold_are_silent(restored):
    stream = Lines()
    logs.configure("example", level="warning", stream=stream)
    log.info("no")
    logging.getLogger("a.library").info("no")
    log.warning("yes")
    assert [line["event"] for line in stream.take()] == ["yes"]


def test_an_unknown_level_is_refused(restored):
    with pytest.raises(KeyError):
        logs.configure("example", level="loud")


def test_the_standard_library_and_the_libraries_speak_the_same_way(lines):
    for name in ("uvicorn.error", "aiokafka.consumer.fetcher", "faststream", "pymongo.client"):
        logging.getLogger(name).warning("attempt %d of %s", 3, "many")
        line = lines.last()
        assert (line["logger"], line["event"], line["level"]) == (name, "attempt 3 of many", "warning")


def test_access_lines_and_the_driver_s_commands_are_not_logged(lines):
    logging.getLogger("uvicorn.access").info('203.0.113.9:4711 - "GET /stakeholders/1 HTTP/1.1" 200')
    logging.getLogger("pymongo.command").info("Command started: find")
    assert lines.getvalue() == ""


@pytest.mark.parametrize(
    "key",
    ["authorization", "Authorization", "token", "access_token", "email", "emailAddress", "name", "first_name",
     "display-name", "address", "ip_address", "phone", "body", "requestBody", "password", "cookie", "mongo_uri"],
)  # fmt: skip
def test_what_is_named_as_personal_is_redacted(lines, key):
    log.info("x", **{key: "Example Person", "nested": {key: "Example Person"}, "deep": [{key: ["Example Person"]}]})
    assert "Example Person" not in lines.getvalue()
    assert lines.last()[key] == "[redacted]"


@pytest.mark.parametrize("key", ["topic", "partition", "usecase", "error", "pause_s", "tokenised", "surnamed", "count"])
def test_other_names_are_not(lines, key):
    log.info("x", **{key: "shown"})
    assert lines.last()[key] == "shown"


@pytest.mark.parametrize(
    "text",
    [
        "mail to person@example.org failed",
        "mongodb://user:s3cret-s3cret@db.example.org/registry",
        "Authorization: Bearer s3cret-s3cret",
        "got eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzM2NyZXQifQ.c2lnbmF0dXJl",
    ],
)
@pytest.mark.catalogue("Z17")
def test_personal_text_is_redacted_wherever_it_stands(lines, text):
    log.info(text, detail=text, many=[text])
    logging.getLogger("a.library").warning("failed: %s", text)
    for hidden in ("person@example.org", "s3cret", "eyJzdWIi"):
        assert hidden not in lines.getvalue()
    assert lines.getvalue().count("[redacted]") == 4


@pytest.mark.catalogue("B38")
def test_a_line_cannot_be_forged(lines):
    forged = 'x\n{"level":"critical","event":"forged"}\r\n\x1b[2J\x1b]0;title\x07\x00\u202e\u2028end'
    log.info(forged, value=forged, **{forged: 1})
    logging.getLogger("a.library").warning(forged)
    assert len(lines.getvalue().splitlines()) == 2
    for line in lines.take():
        assert line["event"] == 'x {"level":"critical","event":"forged"}  end'


def test_a_terminal_sees_colours_of_ours_and_no_others(restored):
    stream = Lines()
    stream.terminal = True
    logs.configure("example", stream=stream)
    log.info("event\x1b[2J\nforged", value="\x1b[31mred")
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert "\x1b[2J" not in text
    assert "\x1b[31mred" not in text
    assert "\x1b[" in text
    try:
        raise_with_values("Example Person")
    except RuntimeError:
        log.exception("failed")
    assert "RuntimeError" in stream.getvalue()
    assert "Example Person" not in stream.getvalue()


def test_json_may_be_asked_for_on_a_terminal(restored):
    stream = Lines()
    stream.terminal = True
    logs.configure("example", json=True, stream=stream)
    log.info("x")
    assert stream.last()["event"] == "x"


def test_a_line_that_cannot_be_formatted_is_not_printed_raw(lines, capsys):
    ours = next(each for each in logging.getLogger().handlers if getattr(each, "stream", None) is lines)
    ours.handle(logging.makeLogRecord({"name": "a.library", "msg": "%d attempts", "args": ("Example Person",)}))
    assert lines.last() == {"level": "error", "event": "line not written", "logger": "a.library"}
    assert "Example Person" not in "".join(capsys.readouterr())


def test_values_are_cut(lines):
    log.info("y" * 3000, value="x" * 100_000, many=list(range(1000)), deep=[[[[["bottom"]]]]], big=10**400)
    line = lines.last()
    assert len(line["event"]) == len(line["value"]) == 500
    assert len(line["many"]) == 20
    assert "bottom" not in lines.getvalue()
    assert line["big"].startswith("0x")


def test_plain_values_show_and_others_show_their_type_only(lines):
    @dataclass
    class Person:
        text: str = "Example Person"

    ident = uuid.uuid4()
    log.info("x", id=ident, day=dt.date(2026, 1, 2), none=None, flag=True, ratio=0.5, odd=float("nan"),
             who=Person(), error=ValueError("Example Person"), kind=KeyError, raw=b"Example Person")  # fmt: skip
    line = lines.last()
    assert line["id"] == str(ident)
    assert (line["day"], line["none"], line["flag"], line["ratio"], line["odd"]) == (
        "2026-01-02",
        None,
        True,
        0.5,
        "nan",
    )
    assert line["who"].endswith("Person>")
    assert (line["error"], line["kind"], line["raw"]) == ("<ValueError>", "KeyError", "<bytes>")
    assert "Example Person" not in lines.getvalue()


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes() | st.uuids(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9) | st.integers(), inner, max_size=4),
    max_leaves=12,
)


@given(anything)
@pytest.mark.catalogue("B38")
def test_any_value_makes_one_line(value):
    line = logs._json(None, "info", {"value": logs.clean(value)})
    assert line.isprintable() or not any(character in line for character in "\n\r\x1b\x00\u2028")
    json.loads(line)


def raise_with_values(who):
    local = f"{who} lives here"
    raise RuntimeError(local)


def test_an_exception_tells_its_class_and_place_and_nothing_it_quotes(lines):
    try:
        try:
            raise_with_values("Example Person")
        except RuntimeError as error:
            raise ValueError("Example Person again") from error
    except ValueError:
        log.exception("failed")
    logged = lines.last()["exception"]
    assert logged["type"] == "builtins.ValueError"
    assert logged["cause"]["type"] == "builtins.RuntimeError"
    assert any(frame.endswith("raise_with_values") for frame in logged["cause"]["frames"])
    assert "message" not in logged
    assert "Example Person" not in lines.getvalue()


def test_an_exception_marked_as_loggable_tells_its_text_and_its_children_do_not(lines):
    class QueueFull(Exception):
        loggable = True

    class WithValues(QueueFull):
        pass

    log.error("x", exc_info=QueueFull("12 events wait"))
    assert lines.last()["exception"]["message"] == "12 events wait"
    log.error("x", exc_info=WithValues("Example Person"))
    assert "message" not in lines.last()["exception"]


def test_a_group_tells_its_members(lines):
    log.error("x", exc_info=ExceptionGroup("Example Person", [ValueError("Example Person"), KeyError("k")]))
    logged = lines.last()["exception"]
    assert [each["type"] for each in logged["exceptions"]] == ["builtins.ValueError", "builtins.KeyError"]
    assert "Example Person" not in lines.getvalue()


async def test_a_duplicate_key_does_not_tell_the_document(lines, mongo_uri, database_name):
    async with AsyncMongoClient(mongo_uri) as client:
        people = client[database_name]["people"]
        await people.insert_one({"_id": "Example Person"})
        with pytest.raises(DuplicateKeyError) as duplicate:
            await people.insert_one({"_id": "Example Person"})
        await client.drop_database(database_name)
    assert "Example Person" in str(duplicate.value)
    log.error("not stored", exc_info=duplicate.value)
    library = logging.getLogger("a.library")
    library.error("not stored: %s", duplicate.value)
    library.error(duplicate.value)
    library.error("not stored", exc_info=duplicate.value)
    assert "Example Person" not in lines.getvalue()
    first = lines.take()[0]["exception"]
    assert (first["type"], first["code"]) == ("pymongo.errors.DuplicateKeyError", 11000)


async def test_asyncio_does_not_tell_what_a_lost_task_failed_with(lines):
    async def fail():
        raise_with_values("Example Person")

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    asyncio.get_running_loop().call_exception_handler(
        {"message": "Task exception was never retrieved", "exception": task.exception(), "future": task}
    )
    line = lines.last()
    assert line["event"] == "Task exception was never retrieved"
    assert line["exception"]["type"] == "builtins.RuntimeError"
    assert "Example Person" not in lines.getvalue()


def test_what_ends_the_process_is_logged_as_well(lines):
    try:
        raise_with_values("Example Person")
    except RuntimeError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    assert lines.last()["event"] == "the process ends"
    assert "Example Person" not in lines.getvalue()


def said(seconds, *args, name="aiokafka"):
    message = "Unable connect to node with id %s: %s"
    record = logging.LogRecord(name, logging.ERROR, __file__, 1, message, args, None)
    record.created = 1_000_000.0 + seconds
    logging.getLogger(name).handle(record)


def test_what_aiokafka_repeats_is_said_once_in_ten_seconds_with_how_often_it_was_left_out(lines):
    for hundredth in range(1_500):
        said(hundredth / 100, 1, ConnectionRefusedError("127.0.0.1"))
    said(15, 2, ConnectionRefusedError())
    told = "Unable connect to node with id 1: ConnectionRefusedError"
    assert [line["event"] for line in lines.take()] == [
        told,
        f"{told} (999 times more since this was last said)",
        "Unable connect to node with id 2: ConnectionRefusedError",
    ]


def test_a_clock_set_back_silences_nobody(lines):
    said(7_200, 1, "x")
    said(3_600, 1, "x")
    assert len(lines.take()) == 2


def test_of_what_is_not_repeated_nothing_is_left_out(lines):
    for number in range(2_000):
        said(0, number, "x")
        said(0, 1, "x", name="rapport_chassis.relay")
    assert len(lines.take()) == 4_000
