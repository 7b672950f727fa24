"""What may go wrong in any service, as errors that carry their HTTP status."""


class Conflict(Exception):
    """The write lost against another, or what it adds exists already: 409."""


class PreconditionFailed(Exception):
    """The document is no longer in the version that the request named with If-Match: 412."""


class Unavailable(Exception):
    """Not now: 503 with Retry-After. The outcome may be unknown; a retry with the same Idempotency-Key is safe."""

    def __init__(self, detail: str, retry_after: int = 2) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
