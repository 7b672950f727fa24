"""The catalogue that docs/security.md tells of: bad input (B), bad tokens (A), and who may do what (Z).

A test says with `@pytest.mark.catalogue("A2")` which rows it proves. A row that no test proves says in `waits` why.
"""

from dataclasses import dataclass

from tests.doors.catalogue import ROWS as BAD_INPUT


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    what: str
    waits: str | None = None
    """Why nothing proves it, and what will change that."""


TOKENS = (
    Row("A1", "no token, an empty one, `Bearer` alone: 401 with WWW-Authenticate"),
    Row("A2", "expired, not yet good, issued in the future; the edges of the leeway"),
    Row("A3", "`alg: none`, HS256 with a public key as its secret, algorithms nobody allowed"),
    Row("A4", "keys that the token brings along (`jku`, `jwk`), strange values of `kid`"),
    Row("A5", "another issuer, another audience, none, or a list"),
    Row("A6", "an ID token or a refresh token in place of an access token"),
    Row("A7", "another payload, a signature cut short, dots too many, 100 KB"),
    Row("A8", "the issuer's keys away, rotated under load, asked for by a flood of unknown ones"),
    Row("A9", "a role that was taken away is gone within a time that can be told"),
    Row("A10", "a token in the URL is refused, and stands in no log"),
    Row("A11", "tokens tried one after the other: 429"),
    Row("A12", "headers from outside that claim who somebody is (`X-User-ID`, `X-Forwarded-For`) mean nothing"),
    Row(
        "A13",
        "a service that calls another has no more rights than the person it calls for",
        waits="no service calls another: they tell each other by events alone, and none has a token",
    ),
)

RIGHTS = (
    Row("Z1", "every route, every role, one's own and another's object: denied unless it is granted"),
    Row("Z2", "another's id in path, body, query, list or cursor"),
    Row("Z3", "what is another's looks like what is not there"),
    Row("Z4", "fields that only some may see or set"),
    Row("Z5", "who reads does not write, who collects does not read people, who counts sees no names"),
    Row("Z6", "operators' routes with an ordinary token"),
    Row("Z7", "who and what a token, a path, a body and an event speak of contradict each other"),
    Row("Z8", "an event forged by a principal that may not write the topic: the brokers refuse it"),
    Row("Z9", "a service reads a topic that it does not declare: the brokers refuse it"),
    Row("Z10", "a service reads another's database: MongoDB refuses it; no service is an administrator"),
    Row("Z11", "documentation, metrics and health are not public where that is not wanted"),
    Row("Z12", "an old version of the API still asks who somebody is", waits="there is one version of each API"),
    Row("Z13", "sensitive flows by the hundred: registrations, answers, messages to one person"),
    Row("Z14", "use after erasure: the id is gone everywhere"),
    Row("Z15", "no cache keeps an authorised answer for somebody else"),
    Row("Z16", "pages of other origins read nothing (CORS)"),
    Row("Z17", "answers, logs, spans and metrics hold no personal data and no token"),
    Row("Z18", "answers of mail servers and webhooks are trusted no more than requests"),
    Row(
        "Z19",
        "a pod without its label reaches neither stores nor collector",
        waits="the manifests in deploy/k8s are not written yet; network policies come with them",
    ),
    Row("Z20", "what a right hangs on changes between the check and the commit"),
)

ROWS = {row.name: row for row in (*(Row(row.name, row.what, row.waits) for row in BAD_INPUT), *TOKENS, *RIGHTS)}
