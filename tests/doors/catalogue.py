"""The catalogue of bad input, B1 to B40: what each row does to a door, and the status that must come of it.

A row gives bad requests for every door where it applies; for a row that applies to none of them yet, `waits` says why,
and the doors that will make it apply. Rows about bytes on a connection are in `wire.py`.
"""

import json
import re
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlencode

from rapport_chassis.http import cursor_of

from tests.doors.door import JSON, SCALARS, Door, Place, at, put

LIMIT = 1024 * 1024
"""Bytes of a body, as services come."""

MARK = "hunter2"
"""Where it stands in a bad value, no answer may quote it."""

Body = bytes | Callable[[], AsyncIterator[bytes]] | None


@dataclass(frozen=True, slots=True)
class Bad:
    """A request that must be refused. `pointer`: where the problem must say that it lies."""

    what: str
    method: str
    url: str
    headers: list[tuple[str, str | bytes]]
    content: Body
    status: int
    pointer: str | None = None
    header: str | None = None
    """A header that the refusal must have."""


@dataclass(frozen=True, slots=True)
class Row:
    number: int
    what: str
    asks: Callable[[Door], Iterator[Bad]] | None = None
    waits: str | None = None
    """Why it applies to no door yet; with `asks`, it turns itself on."""
    elsewhere: tuple[str, ...] = ()
    """Tests that prove (more of) it, by path."""

    @property
    def name(self) -> str:
        return f"B{self.number}"


def bad(
    door: Door,
    what: str,
    status: int,
    *,
    body: Any = None,
    raw: Body = None,
    url: str | None = None,
    query: str = "",
    headers: dict[str, Any] | None = None,
    more: list[tuple[str, str | bytes]] | None = None,
    pointer: str | None = None,
    method: str | None = None,
    header: str | None = None,
) -> Bad:
    """A request that fits, but for what is given. `headers` replace the usual ones (None: leave out), `more` come besides."""
    given: dict[str, Any] = {}
    if door.needs("idempotency-key"):
        given["Idempotency-Key"] = f"bad-{abs(hash((str(door), what)))}"
    if door.needs("if-match"):
        given["If-Match"] = '"1"'
    content = raw
    if content is None and door.takes_json:
        content = json.dumps(door.body() if body is None else body).encode()
    elif content is None and door.media_types:
        content = b""
    if content is not None and door.media_types:
        given["Content-Type"] = door.media_types[0]
    given |= headers or {}
    needed = door.query()
    address = url or door.url()
    both = "&".join(part for part in (urlencode(needed), query) if part)
    return Bad(
        what=what,
        method=method or door.method,
        url=f"{address}?{both}" if both else address,
        headers=[*((name, value) for name, value in given.items() if value is not None), *(more or ())],
        content=content,
        status=status,
        pointer=pointer,
        header=header,
    )


def fields(door: Door, fits: Callable[[Place], object]) -> Iterator[tuple[Place, Any]]:
    """Places of the body that fit, with the good body."""
    if door.takes_json:
        body = door.body()
        for place in door.places():
            if place.pointer and fits(place):
                yield place, body


def _is_map(place: Place) -> bool:
    """Names as they come; not the data of an event, which are held to the event's own schema once it is tried again."""
    return place.only("object") and not place.bound("properties") and place.bound("additionalProperties") is not True


def replaced(door: Door, place: Place, body: Any, value: Any, what: str) -> Bad:
    return bad(door, f"{what} at {place.text}", 422, body=put(body, place.pointer, value), pointer=f"/body{place.text}")


# Bodies and transport -------------------------------------------------------------------------------------------------


def too_long(door: Door) -> Iterator[Bad]:
    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    if not door.streaming:
        for length in (LIMIT + 1, 10**30):
            headers = {"Content-Length": str(length), "Content-Type": JSON}
            yield bad(door, f"Content-Length {length:.0e}", 413, raw=unread, headers=headers)


def too_long_by_count(door: Door) -> Iterator[Bad]:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(2 * LIMIT // 65_536):
            yield b" " * 65_536
        raise AssertionError("twice as much as is allowed was read")

    if door.takes_json:
        yield bad(door, "chunks without end", 413, raw=endless)


def no_object(door: Door) -> Iterator[Bad]:
    if door.takes_json:
        for raw in (b"", b"null", b"[]", b"7", b'"x"', b"true"):
            yield bad(door, f"body {raw!r}", 422, raw=raw)


def not_utf8(door: Door) -> Iterator[Bad]:
    if door.takes_json:
        text = json.dumps(door.body())
        yield bad(door, "Latin-1", 400, raw=text.replace('"', '"\xe4', 1).encode("latin-1"))
        yield bad(door, "UTF-16", 400, raw=text.encode("utf-16"))
        yield bad(door, "UTF-32", 400, raw=text.encode("utf-32"))
        yield bad(door, "BOM", 400, raw=b"\xef\xbb\xbf" + text.encode())
        yield bad(door, "overlong", 400, raw=b'{"\xc0\xaf": 1}')
        yield bad(door, "cut short", 400, raw=text.encode()[:-1])


def too_deep(door: Door) -> Iterator[Bad]:
    if door.takes_json:
        for depth in (1_000, 100_000):
            for left, right in ((b"[", b"]"), (b'{"a":', b"}")):
                raw = left * depth + b"1" + right * depth
                yield bad(door, f"{depth} deep {left!r}", 400, raw=b'{"x": ' + raw + b"}")
        yield bad(door, "deep and unclosed", 400, raw=b"[" * 100_000)


def keys_twice(door: Door) -> Iterator[Bad]:
    if door.takes_json:
        for place in door.places():
            inner = at(door.body(), place.pointer)
            if isinstance(inner, dict) and inner:
                whole = put(door.body(), place.pointer, {"@": 0})
                twice = json.dumps(inner)[1:-1]
                raw = json.dumps(whole).replace('{"@": 0}', f"{{{twice}, {twice}}}")
                yield bad(door, f"all keys twice in {place.text or '/'}", 400, raw=raw.encode())


def no_numbers(door: Door) -> Iterator[Bad]:
    for place, body in fields(door, lambda place: True):
        for text in ("NaN", "Infinity", "-Infinity", "1e400", "-1e400"):
            raw = json.dumps(put(body, place.pointer, "@")).replace('"@"', text, 1)
            yield bad(door, f"{text} at {place.text}", 422, raw=raw.encode())


def numbers_out_of_range(door: Door) -> Iterator[Bad]:
    for place, body in fields(door, lambda place: place.only("integer")):
        for text in ("9" * 10_000, str(2**63), str(-(2**63) - 1), "1.0", "1.5", "1e2", "-1"):
            if text == "-1" and place.bound("minimum") is None:
                continue
            raw = json.dumps(put(body, place.pointer, "@")).replace('"@"', text, 1)
            yield bad(door, f"{text[:20]} at {place.text}", 422, raw=raw.encode())
    for parameter in door.parameters():
        if parameter.place.only("integer"):
            for text in ("9" * 10_000, str(2**63), str(-(2**63) - 1), "1.5", "1e2", "-1"):
                yield from _in_address(door, parameter.name, text, 422)


def coerced(door: Door) -> Iterator[Bad]:
    wrong: dict[str, tuple[Any, ...]] = {
        "boolean": ("true", "1", 1, 0, "yes"),
        "integer": ("1", True, "x"),
        "number": ("1.5", True),
        "string": (1, True, 1.5, ["x"]),
        "array": ("x", {"0": "x"}, 1, True),
        "object": ("x", [["a", 1]], 1, True),
    }
    for place, body in fields(door, lambda place: len(place.types) == 1):
        for value in wrong[next(iter(place.types))]:
            yield replaced(door, place, body, value, f"{json.dumps(value)} for {next(iter(place.types))}")


def other_media(door: Door) -> Iterator[Bad]:
    if door.media_types:
        for kind in (
            "text/plain",
            "application/xml",
            "application/x-www-form-urlencoded",
            "*/*",
            "",
            "application/jsonx",
        ):
            yield bad(door, f"as {kind!r}", 415, raw=b"{}", headers={"Content-Type": kind})
        yield bad(door, "as nothing", 415, raw=b"{}", headers={"Content-Type": None})
    if door.takes_json:
        for charset in ("utf-16", "iso-8859-1", "utf-7", "utf-8; charset=utf-16", '"utf-8"x'):
            yield bad(door, f"charset {charset}", 415, headers={"Content-Type": f"{JSON}; charset={charset}"})
        yield bad(door, "two types", 415, more=[("Content-Type", "text/plain")])


def packed(door: Door) -> Iterator[Bad]:
    bomb = zlib.compress(b" " * 10_000_000)
    for coding in ("gzip", "deflate", "br", "zstd", "identity, gzip", "x"):
        yield bad(door, f"packed as {coding}", 415, raw=bomb, headers={"Content-Encoding": coding})


def multipart(door: Door) -> Iterator[Bad]:
    if door.media_types:
        part = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\ny\r\n'
        for what, raw in (
            ("a part", part + b"--b--\r\n"),
            ("many parts", part * 10_000 + b"--b--\r\n"),
            ("a huge part header", b"--b\r\nX: " + b"x" * 500_000 + b"\r\n\r\ny\r\n--b--\r\n"),
            ("a huge preamble", b"\r\n" * 250_000 + part),
        ):
            yield bad(door, what, 415, raw=raw, headers={"Content-Type": "multipart/form-data; boundary=b"})


def strange_queries(door: Door) -> Iterator[Bad]:
    yield bad(door, "8 000 parameters", 414, query="&".join(f"a{n}=1" for n in range(8_000)))
    yield bad(door, "an unknown parameter", 422, query="unknown=1")
    for parameter in door.parameters("query"):
        if not parameter.place.only("array"):
            yield bad(door, f"{parameter.name} twice", 422, query=f"{parameter.name}=1&{parameter.name}=2")
        if parameter.place.only("integer"):
            yield bad(door, "semicolons", 422, query=f"{parameter.name}=1;a=2")


def authorised_twice(door: Door) -> Iterator[Bad]:
    if door.roles:
        yield bad(door, "two tokens", 401, more=[("Authorization", "Bearer x")], header="www-authenticate")


def other_methods(door: Door) -> Iterator[Bad]:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"):
        if method not in door.methods_at(door.url()):
            yield bad(door, f"{method}", 405, method=method, header="allow")


def path_tricks(door: Door) -> Iterator[Bad]:
    path = door.url()
    tricks = [("a slash behind", path + "/"), ("a doubled slash", re.sub(r"(.)/", r"\1//", path))]
    last = door.path.rpartition("/")[2]
    if not last.startswith("{"):
        tricks += [
            ("another case", path[: -len(last)] + last.upper()),
            ("a matrix parameter", path + ";a=1"),
            ("NUL behind", path + "%00"),
            ("a blank behind", path + "%20"),
        ]
    for what, url in tricks:
        methods = door.methods_at(unquote(url))
        if url != path and door.method not in methods:
            yield bad(door, what, 405 if methods else 404, url=url)
    if "/" in path[1:] and not door.whole:
        yield bad(door, "an encoded slash", 404, url="/" + path[1:].replace("/", "%2f"))
        yield bad(door, "an encoded slash", 404, url="/" + path[1:].replace("/", "%2F"))


# Fields ---------------------------------------------------------------------------------------------------------------


def too_much(door: Door) -> Iterator[Bad]:
    for place, body in fields(door, lambda place: place.only("string")):
        if place.enum or place.format:
            continue
        most = place.bound("maxLength")
        good = str(at(body, place.pointer)) or "x"
        if most is not None:
            yield replaced(door, place, body, good[0] * (most + 1), f"{most + 1} characters")
        yield replaced(door, place, body, good[0] * 900_000, "900 000 characters")
        yield bad(door, f"1 MiB at {place.text}", 413, body=put(body, place.pointer, good[0] * LIMIT))
    for place, body in fields(door, lambda place: place.only("array")):
        most = place.bound("maxItems")
        item = at(body, place.pointer)[0]
        few = 800_000 // (len(json.dumps(item)) + 8)
        many = [f"{item}{n}" for n in range(few)] if isinstance(item, str) else [item] * few
        if most is not None:
            yield replaced(door, place, body, many[: most + 1], f"{most + 1} items")
        yield replaced(door, place, body, many, f"{few} items")
    for place, body in fields(door, _is_map):
        inner = at(body, place.pointer)
        value = next(iter(inner.values()))
        yield replaced(door, place, body, {f"a{n}": value for n in range(50_000)}, "50 000 keys")
    for parameter in door.parameters():
        if parameter.place.only("string") and parameter.where != "header" and not parameter.place.enum:
            yield from _in_address(door, parameter.name, "x" * 5_000, 422)


def odd_characters(door: Door) -> Iterator[Bad]:
    controls = ("\x00", "\x08", "\x1b[31m", "\x7f", "\x85", "\x9b", "\u202e", "\u2066", "\x1f")
    for place, body in fields(door, lambda place: "string" in place.types or not place.types):
        for mark in controls:
            value = put(body, place.pointer, f"x{mark}y")
            yield bad(door, f"{mark!r} at {place.text}", 422, body=value)
            if not mark.isascii():
                raw = json.dumps(value, ensure_ascii=False).encode()
                yield bad(door, f"{mark!r} unescaped at {place.text}", 422, raw=raw)
        for half in ("\\ud800", "\\udfff", "\\ude00\\ud83d"):
            raw = json.dumps(put(body, place.pointer, "@")).replace('"@"', f'"x{half}"', 1)
            yield bad(door, f"{half} at {place.text}", 400, raw=raw.encode())
    for parameter in door.parameters():
        if parameter.place.only("string") and parameter.where != "header":
            for mark in ("x\x00", "\x1b[31m", "x\x85", "\u202ex", "a\nb"):
                yield from _in_address(door, parameter.name, mark, 422)
            yield from _in_address(door, parameter.name, "%ff%fe", 422, raw=True)


def odd_mail(door: Door) -> Iterator[Bad]:
    channel = door.takes_json and "channel" in door.body()
    for place, body in fields(door, lambda place: place.only("string") and place.pointer[-1] in {"email", "address"}):
        for value in (
            "a@example.org\r\nBcc: b@example.org",
            "a@example.org\n",
            "a@@example.org",
            "a example@example.org",
            "a@example",
            "@example.org",
            "a@.example.org",
            "a" * 65 + "@example.org",
            "a@" + "x" * 320 + ".org",
            "\u0430dmin@example.org",  # a Cyrillic letter
            "admin@ex\u0430mple.org",
        ):
            made = put(body, place.pointer, value)
            yield bad(
                door, f"{value[:40]!a} at {place.text}", 422, body={**made, "channel": "email"} if channel else made
            )


def odd_ids(door: Door) -> Iterator[Bad]:
    for place, body in fields(door, lambda place: "[0-9a-f]{12}" in (place.bound("pattern") or "")):
        good = str(at(body, place.pointer))
        for value in (
            good.upper().replace("0", "A"),
            f"{{{good}}}",
            good.replace("-", ""),
            f"urn:uuid:{good}",
            good + "\n",
            "",
        ):
            yield replaced(door, place, body, value, repr(value))
    for parameter in door.parameters("path"):
        if "[0-9a-f]{12}" in (parameter.place.bound("pattern") or ""):
            good = "0190d901-9ff2-720a-87ff-8fc99a817e65"
            for value in (good.upper(), f"{{{good}}}", good.replace("-", ""), good + "\n", "x", "0"):
                yield from _in_address(door, parameter.name, value, 422)
            yield from _in_address(door, parameter.name, "00000000-0000-0000-0000-000000000000", 404)


def odd_times(door: Door) -> Iterator[Bad]:
    for place, body in fields(door, lambda place: place.format == "date"):
        for value in ("0000-01-01", "10000-01-01", "2019-02-30", "2019-13-01", "2019-6-3", "20190603", "2019-W23-1",
                      "2019-06-03T00:00:00Z", "03/06/2019", "", "today", 1559520000, "2019-06-03\n"):  # fmt: skip
            yield replaced(door, place, body, value, repr(value))
    for place, body in fields(door, lambda place: place.format == "date-time"):
        for value in ("0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "2016-12-31T23:59:60Z", "2019-06-03T09:30:00",
                      "2019-06-03", "2019-06-03T25:00:00Z", "2019-06-03T09:30:00+25:00", "now", 1559520000, "1559520000",
                      "9999-12-31T23:59:59Z"):  # fmt: skip
            yield (
                replaced(door, place, body, value, repr(value))
                if "9999" not in str(value)
                else bad(door, f"{value} at {place.text}", 422, body=put(body, place.pointer, value))
            )


def unknown_codes(door: Door) -> Iterator[Bad]:
    for place, body in fields(door, lambda place: place.enum):
        assert place.enum
        for value in (f"{MARK}-no-such", str(place.enum[0]).upper(), str(place.enum[0]) + " ", "", 0):
            yield replaced(door, place, body, value, repr(value))
    for parameter in door.parameters():
        if parameter.place.enum:
            for value in (f"{MARK}-no-such", str(parameter.place.enum[0]).upper(), f"{parameter.place.enum[0]} "):
                yield from _in_address(door, parameter.name, value, 422)


def extra_fields(door: Door) -> Iterator[Bad]:
    yield from _extra(door, ("unknown", "", " ", "Name", "a" * 300, f"{MARK}"))


def server_fields(door: Door) -> Iterator[Bad]:
    names = ("_id", "id", "tenant", "version", "seq", "created_by", "roles", "actor", "state", "erased", "erased_on",
             "registered_on", "logged_by", "secret", "is_admin", "expires_at", "generation")  # fmt: skip
    yield from _extra(door, names)


def operator_keys(door: Door) -> Iterator[Bad]:
    names = ("$where", "$ne", "a.b", "a.$", "__proto__", "constructor.prototype", "__class__")
    yield from _extra(door, names)
    for place, body in fields(door, _is_map):
        value = next(iter(at(body, place.pointer).values()))
        for name in ("$where", "$ne", "__proto__", "a.$x", ".", ""):
            yield bad(door, f"key {name!r} at {place.text}", 422, body=put(body, (*place.pointer, name), value))


def operators(door: Door) -> Iterator[Bad]:
    for place, body in fields(door, lambda place: place.types and place.types <= SCALARS):
        for value in ({"$ne": None}, {"$gt": ""}, {"$where": f"'{MARK}'"}, [{"$ne": None}], {"$regex": ".*"}):
            yield replaced(door, place, body, value, json.dumps(value))
    for parameter in door.parameters("query"):
        for name in (f"{parameter.name}[$ne]", f"{parameter.name}[$gt]", f"{parameter.name}[]", f"{parameter.name}.x"):
            yield bad(door, name, 422, query=f"{quote(name)}=1")
    for parameter in door.parameters("path"):
        if parameter.place.bound("pattern"):
            yield from _in_address(door, parameter.name, '{"$ne":null}', 422)


def patterns(door: Door) -> Iterator[Bad]:
    for parameter in door.parameters("query"):
        if parameter.place.only("string") and parameter.place.bound("pattern"):
            for text in (".*", "(a+)+$", "^a", "a|b", "[", "\\"):
                yield from _in_address(door, parameter.name, text, 422)


def chosen_names(door: Door) -> Iterator[Bad]:
    for parameter in door.parameters("query"):
        if parameter.name in {"sort", "order", "order_by", "fields", "projection", "include", "expand", "filter"}:
            for value in ("no_such", "$where", "_id", "name.x", "-password"):
                yield from _in_address(door, parameter.name, value, 422)


def odd_pages(door: Door) -> Iterator[Bad]:
    names = {parameter.name: parameter for parameter in door.parameters("query")}
    if "limit" in names:
        for text in ("0", "-1", "1000000000", "x", "", "1.5", "0x10"):
            yield from _in_address(door, "limit", text, 422)
    if "cursor" in names:
        good = cursor_of(["a"], {})
        other = cursor_of(["a"], {"another": "list"})
        many = cursor_of(["a", "b", "c", "d"], {})
        for text in ("", "x", good[:-1], good + "A", other, many, cursor_of([{"$gt": ""}], {}), cursor_of([None], {}),
                     cursor_of([1.5], {}), cursor_of([True], {}), "A" * 1_000, "====", "e30", "W10", "bnVsbA"):  # fmt: skip
            yield from _in_address(door, "cursor", text, 400)
        yield from _in_address(door, "cursor", "A" * 1_025, 422)


def addresses(door: Door) -> Iterator[Bad]:
    named = {"url", "uri", "address", "callback", "webhook", "href", "endpoint"}
    for place, body in fields(door, lambda place: place.only("string") and place.pointer[-1] in named):
        for url in (
            "http://example.org/hook",  # not encrypted
            "https://127.0.0.1/hook",
            "https://localhost/hook",
            "https://[::1]/hook",
            "https://[::ffff:127.0.0.1]/hook",
            "https://2130706433/hook",
            "https://0x7f.1/hook",
            "https://169.254.169.254/latest/meta-data",
            "https://10.0.0.1/hook",
            "https://user:word@example.org/hook",
            "file:///etc/passwd",
            "ftp://example.org/x",
            "gopher://example.org/x",
            "javascript:alert(1)",
            "//example.org/x",
            "https://example.org\r\n.evil.test/",
            "https://",
        ):
            made = put(body, place.pointer, url)
            yield bad(
                door, f"{url} at {place.text}", 422, body={**made, "channel": "webhook"} if "channel" in made else made
            )


def unsigned(door: Door) -> Iterator[Bad]:
    """A route that somebody else's system calls has no token of ours: it is public, and it writes."""
    if door.writes and not door.roles:
        for value in (None, "", "v1,", "v1,AAAA", "v1," + "A" * 10_000, "v2,AAAA"):
            headers = {"Webhook-Id": "a", "Webhook-Timestamp": "1", "Webhook-Signature": value}
            yield bad(door, f"signature {str(value)[:10]}", 401, headers=headers)


def preconditions(door: Door) -> Iterator[Bad]:
    if door.needs("if-match"):
        yield bad(door, "without If-Match", 428, headers={"If-Match": None})
        yield bad(door, "a stale ETag", 412, headers={"If-Match": '"999"'})
        for value in ("*", 'W/"1"', "1", '"x"', '"0"', '"1", "2"', "", '"' + "9" * 30 + '"', "'1'"):
            yield bad(door, f"If-Match {value[:12]}", 400, headers={"If-Match": value})


def odd_keys(door: Door) -> Iterator[Bad]:
    if door.needs("idempotency-key"):
        yield bad(door, "without a key", 400, headers={"Idempotency-Key": None})
        for value in ("", " ", "a b", "a" * 129, "a" * 10_240, "ä".encode(), b"\x7f"):
            yield bad(door, f"key {value[:8]!r} of {len(value)}", 400, headers={"Idempotency-Key": value})


# What rows have in common ---------------------------------------------------------------------------------------------


def _in_address(door: Door, name: str, value: str, status: int, *, raw: bool = False) -> Iterator[Bad]:
    """A bad value of one parameter of path or query."""
    parameter = next(p for p in door.parameters() if p.name == name)
    text = value if raw else quote(value, safe="")
    what = f"{name}={value[:30]!a}"
    if len(text) > LONGEST_ADDRESS:
        status = 414
    if parameter.where == "query":
        yield bad(door, what, status, query=f"{name}={text}")
    elif parameter.where == "path":
        no_path = door.whole and "\n" in value  # where slashes may be, line ends may not: there is no such route
        yield bad(door, what, 404 if no_path else status, url=door.url(**{name: text}))


LONGEST_ADDRESS = 8_192


def _extra(door: Door, names: tuple[str, ...]) -> Iterator[Bad]:
    for place in door.places() if door.takes_json else ():
        known = place.bound("properties")
        if known is None or place.bound("additionalProperties") is not False:
            continue
        for name in names:
            if name not in known:
                body = put(door.body(), (*place.pointer, name), MARK)
                yield bad(door, f"{name[:20]!r} in {place.text or '/'}", 422, body=body, pointer=f"/body{place.text}")


ROWS: tuple[Row, ...] = (
    Row(1, "body over the limit by its Content-Length: 413 before it is read", too_long),
    Row(2, "chunked body over the limit: 413, memory stays flat", too_long_by_count,
        elsewhere=("libs/chassis/tests/pressure/test_hostile_clients.py",)),
    Row(3, "Content-Length that lies", elsewhere=("tests/doors/test_wire.py",)),
    Row(4, "Transfer-Encoding and Content-Length together", elsewhere=("tests/doors/test_wire.py",)),
    Row(5, "empty body, null, a list, a scalar", no_object),
    Row(6, "not UTF-8: Latin-1, UTF-16, a BOM, cut short", not_utf8),
    Row(7, "JSON 1 000 and 100 000 deep", too_deep),
    Row(8, "a key twice in one object", keys_twice),
    Row(9, "NaN, Infinity, 1e400", no_numbers),
    Row(10, "integers of 10 000 digits, beyond int64, with a fraction", numbers_out_of_range),
    Row(11, "values of another type that could be converted", coerced),
    Row(12, "another or no media type, another charset", other_media),
    Row(13, "packed bodies are not unpacked", packed),
    Row(14, "multipart, also huge", multipart),
    Row(15, "100 000 query parameters, unknown ones, one twice, semicolons", strange_queries),
    Row(16, "headers of 64 KiB, CRLF in a header, two tokens", authorised_twice, elsewhere=("tests/doors/test_wire.py",)),
    Row(17, "slow headers and slow bodies", elsewhere=("tests/doors/test_wire.py",
        "libs/chassis/tests/pressure/test_hostile_clients.py")),
    Row(18, "pipelining, leaving early: all or nothing", elsewhere=("tests/doors/test_wire.py",
        "libs/chassis/tests/pressure/test_hostile_clients.py")),
    Row(19, "methods a path has not: 405 with Allow", other_methods),
    Row(20, "other spellings of a path", path_tricks, elsewhere=("tests/doors/test_wire.py",)),
    Row(21, "more characters, items, keys than allowed", too_much),
    Row(22, "control characters, overrides of direction, halves of characters", odd_characters),
    Row(23, "mail addresses with line ends, of other alphabets, too long", odd_mail),
    Row(24, "ids in other spellings, the id of nobody", odd_ids),
    Row(25, "days and times that are none, without zone, out of range", odd_times),
    Row(26, "codes that are not in the list, in another case", unknown_codes),
    Row(27, "fields that nobody asked for", extra_fields),
    Row(28, "fields that are the server's to set", server_fields),
    Row(29, "keys with $ and dots, __proto__", operator_keys),
    Row(30, "operators of the store in place of a value", operators),
    Row(31, "search texts that are patterns", patterns, elsewhere=("services/registry/tests/component/test_api.py",)),
    Row(32, "a name of a field to sort by or to show", chosen_names, waits="no route lets a caller name a field"),
    Row(33, "limits and cursors that are none", odd_pages, elsewhere=("libs/chassis/tests/http/test_kit.py",)),
    Row(34, "markup and template code in free text stays text",
        elsewhere=("tests/doors/test_bad_input.py", "services/notifications/tests/unit/test_templates.py")),
    Row(35, "formulas in exported CSV", waits="no route answers text/csv"),
    Row(36, "URLs that lead inside", addresses, elsewhere=("services/notifications/tests/channels/test_webhook.py",)),
    Row(37, "callbacks unsigned, replayed, stale", unsigned, waits="no route is called by another system: none is public"),
    Row(38, "line ends and terminal codes stay out of logs", elsewhere=("tests/doors/test_bad_input.py",
        "libs/chassis/tests/telemetry/test_logs.py")),
    Row(39, "If-Match missing, stale, or *", preconditions),
    Row(40, "Idempotency-Key missing, malformed, reused, raced, another's", odd_keys,
        elsewhere=("tests/doors/test_bad_input.py",)),
)  # fmt: skip
