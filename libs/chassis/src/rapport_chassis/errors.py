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


class TooManyRequests(Exception):
    """One actor asked for more than a rule allows: 429 with Retry-After, in seconds."""

    def __init__(self, rule: str, limit: int, seconds: float, retry_after: int) -> None:
        super().__init__(f"more than {limit} in {seconds:g} s ({rule}); try again in {retry_after} s")
        self.rule = rule
        self.limit = limit
        self.seconds = seconds
        self.retry_after = retry_after
