"""The services' APIs as the command line calls them: with a token of the local issuer, and errors that say what to do."""

import time
import uuid
from collections.abc import Iterable, Mapping
from functools import cached_property
from types import TracebackType
from typing import Any, Self

import httpx
from rapport_stack.workbench import Workbench

from rapport_cli.errors import CommandError, NotRunning
from rapport_cli.running.state import Folder, State

SUBJECT = "rapport-command-line"
PATIENCE = 60.0
"""Seconds for which a service may say that it is busy."""


class Client:
    """All five services of one running platform, under one identity with the roles given."""

    def __init__(
        self, state: State, bench: Workbench, roles: Iterable[str], *, subject: str = SUBJECT, timeout: float = 60.0
    ) -> None:
        self.state = state
        self.bench = bench
        token = bench.issuer().token(subject, roles, lifetime=12 * 3600)
        self._headers = {"Authorization": f"Bearer {token}"}
        self._timeout = timeout

    @classmethod
    def of(cls, folder: Folder, *roles: str) -> Self:
        """Raises NotRunning."""
        state = folder.state()
        return cls(state, workbench_of(folder), roles)

    @cached_property
    def http(self) -> httpx.Client:
        limits = httpx.Limits(max_connections=32, max_keepalive_connections=32)
        return httpx.Client(headers=self._headers, timeout=self._timeout, trust_env=False, limits=limits)

    def url(self, service: str, path: str) -> str:
        return self.state.urls[service] + path

    def call(
        self,
        method: str,
        service: str,
        path: str,
        *,
        json: Any = None,
        content: Any = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """The answer; a 503 that says when to come again is asked again, under the same Idempotency-Key.

        Raises CommandError where the service refuses or is not there.
        """
        keyed = {"Idempotency-Key": uuid.uuid4().hex, **(headers or {})}
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                answer = self.http.request(
                    method, self.url(service, path), json=json, content=content, params=params, headers=keyed
                )
            except httpx.HTTPError as error:
                raise CommandError(
                    f"The {service} service does not answer ({type(error).__name__}).", "See how it is: rapport status"
                ) from error
            busy = answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and answer.headers.get("Retry-After", "")
            once = content is not None and not isinstance(content, bytes | str)  # a stream is read but once
            if not busy or once or time.monotonic() > deadline:
                break
            time.sleep(float(busy))
        if answer.is_error:
            raise refusal(service, answer)
        return answer

    def get(self, service: str, path: str, **params: Any) -> Any:
        return self.call("GET", service, path, params=params).json()

    def post(self, service: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = self.call("POST", service, path, json=body, headers=headers)
        return answer.json() if answer.content else None

    def close(self) -> None:
        self.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def workbench_of(folder: Folder) -> Workbench:
    """The development programs of a running platform. Raises NotRunning."""
    bench = Workbench.read(folder.workbench)
    if bench is None:
        raise NotRunning
    return bench


def refusal(service: str, answer: httpx.Response) -> CommandError:
    """What a service's problem (RFC 9457) means for whoever typed the command."""
    try:
        problem = answer.json()
        text = problem.get("detail") or problem.get("title") or answer.reason_phrase
    except ValueError:
        text = answer.reason_phrase
    cure = (
        "It may be starting or overloaded; see: rapport status"
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR
        else f"The service's documentation: {answer.url.scheme}://{answer.url.netloc.decode()}/docs"
    )
    return CommandError(
        f"{service} refused {answer.request.method} {answer.url.path} ({answer.status_code}): {text}", cure
    )
