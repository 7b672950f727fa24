"""The difference of two shares: Newcombe's hybrid score interval."""

import math

from measures.domain.interval import Bounds, Estimate, Sample


def difference(first: Sample, first_limits: Bounds, second: Sample, second_limits: Bounds) -> Estimate:
    """first - second with bounds recovered from the limits of each (Newcombe 1998, method 10).

    The recovery (Zou and Donner 2008) takes any limits, so that an open wave brings its anytime-valid ones.
    """
    value = first.share - second.share
    return Estimate(
        value,
        value - math.hypot(first.share - first_limits.low, second_limits.high - second.share),
        value + math.hypot(first_limits.high - first.share, second.share - second_limits.low),
    )
