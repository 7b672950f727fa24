"""A route's endpoint, called with what its parameters ask for.

FastAPI reads the declaration, makes a validator of each parameter and writes OpenAPI from them. Its own way from a
request to the endpoint is made for forms, files, generators, threads and overrides as well, none of which is here, and
took a fifth of a request's time.
"""

from __future__ import annotations

import inspect
from datetime import date, datetime
from enum import Enum
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from fastapi import Response, params
from fastapi._compat import get_missing_field_error
from fastapi.dependencies.utils import request_params_to_args
from fastapi.exceptions import RequestValidationError
from fastapi.routing import serialize_response

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastapi._compat import ModelField
    from fastapi.dependencies.models import Dependant
    from fastapi.routing import APIRoute

    from rapport_chassis.http.body import StrictRequest

PLAIN = frozenset({str, int, bool, date, datetime, NoneType})


class Endpoint:
    """Of one route. Raises TypeError for what no route of this house has: a form, two bodies, a cookie, a generator."""

    def __init__(self, route: APIRoute) -> None:
        body = route.body_field
        if len(route.dependant.body_params) > 1 or (body is not None and isinstance(body.field_info, params.Form)):
            raise TypeError(f"{route.path}: a body is one JSON value")
        self._call = _Call(route.dependant)
        self._body = body
        self._view = route.response_field
        self._status = route.status_code or 200

    async def __call__(self, request: StrictRequest) -> Response:
        """Raises RequestValidationError, and whatever the endpoint and what it depends on raise."""
        errors: list[Any] = []
        sent = await request.json() if self._body is not None and await request.body() else None
        given = await self._call.arguments(request, {}, errors)
        if self._body is not None:
            if await request.body():
                given[self._body.name], wrong = self._body.validate(sent, loc=("body",))
                errors += wrong
            elif self._body.field_info.is_required():
                errors.append(get_missing_field_error(("body",)))
        if errors:
            raise RequestValidationError(errors)
        answer = await self._call.result(given)
        if isinstance(answer, Response):
            return answer
        content = await serialize_response(field=self._view, response_content=answer, dump_json=True)
        return Response(content, status_code=self._status, media_type="application/json")


class _Call:
    """An endpoint, or what one depends on, and where its arguments come from: sorted out once."""

    def __init__(self, dependant: Dependant) -> None:
        call = dependant.call
        if call is None or inspect.isgeneratorfunction(call) or inspect.isasyncgenfunction(call):
            raise TypeError(f"{call}: give back a StreamingResponse instead of being a generator")
        if dependant.cookie_params or dependant.response_param_name or dependant.background_tasks_param_name:
            raise TypeError(f"{call}: there are no cookies, no response to change, no tasks for afterwards")
        self.what: Callable[..., Any] = call
        self.name = dependant.name or ""
        self._waits = inspect.iscoroutinefunction(call)
        self._request = dependant.request_param_name
        self._path = _Parameters(dependant.path_params)
        self._query = _Parameters(dependant.query_params)
        self._headers = _Parameters(dependant.header_params)
        self._needs = [_Call(each) for each in dependant.dependencies]

    async def arguments(
        self, request: StrictRequest, made: dict[Callable[..., Any], Any], errors: list[Any]
    ) -> dict[str, Any]:
        """By name. `made` keeps what was depended on already: each is called once a request."""
        given: dict[str, Any] = {}
        for each in self._needs:
            if each.what not in made:
                before = len(errors)
                needed = await each.arguments(request, made, errors)
                if len(errors) > before:
                    continue
                made[each.what] = await each.result(needed)
            given[each.name] = made[each.what]
        if self._path:
            self._path.take(request.path_params, given, errors)
        if self._query:
            self._query.take(request.query_params, given, errors)
        if self._headers:
            self._headers.take(request.headers, given, errors)
        if self._request is not None:
            given[self._request] = request
        return given

    async def result(self, given: dict[str, Any]) -> Any:
        """What is no coroutine runs on the loop as well, and must not wait for anything."""
        result = self.what(**given)
        return await result if self._waits else result


class _Parameters:
    """Those of one place. What is one plain value under one name is taken here, anything else by FastAPI."""

    def __init__(self, fields: Sequence[ModelField]) -> None:
        plain = [field for field in fields if _is_plain(field)]
        self._plain = [(field, field.alias, (_place(field), field.alias)) for field in plain]
        self._others = [field for field in fields if field not in plain]

    def __bool__(self) -> bool:
        return bool(self._plain or self._others)

    def take(self, source: Any, given: dict[str, Any], errors: list[Any]) -> None:
        for field, alias, place in self._plain:
            value = source.get(alias)
            if value is not None:
                given[field.name], wrong = field.validate(value, loc=place)
                errors += wrong
            elif field.field_info.is_required():
                errors.append(get_missing_field_error(place))
            else:
                given[field.name] = field.default
        if self._others:
            found, wrong = request_params_to_args(self._others, source)
            given.update(found)
            errors += wrong


def _is_plain(field: ModelField) -> bool:
    info = field.field_info
    union = get_origin(info.annotation) in {Union, UnionType}
    kinds = get_args(info.annotation) if union else (info.annotation,)
    return (
        info.validation_alias in {None, info.alias}
        and not info.validate_default
        and all(isinstance(kind, type) and (kind in PLAIN or issubclass(kind, Enum)) for kind in kinds)
    )


def _place(field: ModelField) -> str:
    return str(field.field_info.in_.value) if isinstance(field.field_info, params.Param) else ""
