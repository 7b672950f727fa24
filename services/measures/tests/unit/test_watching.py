"""Why an open wave needs bounds of its own: looking often is testing often."""

import random

from measures.domain.interval import Sample, exact, sequence


def test_a_share_exactly_on_its_target_is_rarely_called_met_however_often_one_looks():
    answers, every, waves, target, error = 1500, 25, 400, 0.39, 0.05
    draw = random.Random(20190401)
    fixed = anytime = 0
    for _ in range(waves):
        yes, moments = 0, []
        for answer in range(1, answers + 1):
            yes += draw.random() < target
            if answer % every == 0 and answer >= 30:
                moments.append(Sample(yes / answer, yes, answer - yes, answer))
        fixed += any(exact(moment, error).low >= target for moment in moments)
        anytime += any(sequence(moment, error).low >= target for moment in moments)
    assert anytime <= 0.05 * waves
    assert fixed > 0.15 * waves
