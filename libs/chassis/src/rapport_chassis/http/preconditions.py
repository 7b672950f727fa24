"""ETag and If-Match (RFC 9110): nobody overwrites what they have not read. 428 without (RFC 6585), 412 when stale."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Header, HTTPException, Request, Response

ETAG = re.compile(r'"([1-9][0-9]{0,17})"')


def etag(version: int) -> str:
    """The strong validator of a document's version."""
    return f'"{version}"'


def unless_known(request: Request, response: Response) -> Response:
    """304 in place of an answer whose ETag the client has (If-None-Match, compared weakly: RFC 9110 section 13.1.2)."""
    tag, known = response.headers.get("etag"), request.headers.get("if-none-match")
    if request.method not in {"GET", "HEAD"} or response.status_code != 200 or tag is None or known is None:  # noqa: PLR2004 - RFC 9110: only in place of a 200
        return response
    tags = {found.strip().removeprefix("W/") for found in known.split(",")}
    return Response(status_code=304, headers={"ETag": tag}) if tags & {tag.removeprefix("W/"), "*"} else response


async def _version(
    if_match: Annotated[str | None, Header(description="The ETag that was read last")] = None,
) -> int:
    if if_match is None:
        raise HTTPException(428, "send If-Match with the ETag that was read last")
    found = ETAG.fullmatch(if_match.strip())
    if found is None:
        # `*` would overwrite whatever is there, which is what this header is to prevent.
        raise HTTPException(400, 'If-Match must be one ETag as it was given, for instance "3"')
    return int(found[1])


IfMatch = Annotated[int, Depends(_version)]
"""The version the client has read. Pass it on as `run(..., expect={id: if_match})`."""
