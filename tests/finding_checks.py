"""What the tests of the findings share: a verdict must be able to say yes and no."""

import re
from collections.abc import Callable, Sequence

from minikimi.findings.finding import Measurement, Verdict


def check_verdict(
    judge: Callable[[Sequence[Measurement]], Verdict],
    shown: Measurement,
    turned: Sequence[Measurement],
    each_seed: bool = True,
) -> None:
    """`shown` is what one seed finds where the effect is; each of the changes `turned` turns it around.

    each_seed: one seed against the claim is enough for a no. False where the rule speaks of the mean over seeds.
    """
    verdict = judge([shown] * 3)
    assert verdict.reproduced and re.search(r"\d", verdict.sentence)
    for change in turned:
        assert not judge([{**shown, **change}] * 3).reproduced, change
    assert turned
    if each_seed:
        assert not judge([shown, shown, {**shown, **turned[0]}]).reproduced
