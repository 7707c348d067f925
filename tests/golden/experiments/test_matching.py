"""Finding the setting that keeps a share."""

import math

import pytest
import torch

from golden.experiments.context import Context, Job
from golden.experiments.matching import match, rule_family, shifted_family, solve, uniform_family
from golden.experiments.peer_rules import TopK
from golden.experiments.sizes import QUICK, Sizes


@pytest.mark.parametrize("goal", [0.02, 0.1, 0.5, 0.97])
@pytest.mark.parametrize("start", [-3.0, 0.0, 4.0])
def test_solve_meets_the_goal_of_a_growing_function(goal: float, start: float) -> None:
    seen: list[float] = []
    x, y = solve(seen.append, lambda: 1 / (1 + math.exp(-2 * seen[-1])), goal, start, 0.1)
    assert abs(y - goal) <= 1e-4
    assert x == pytest.approx(math.log(goal / (1 - goal)) / 2, abs=0.01)
    assert len(seen) <= 16


def test_solve_gives_the_nearest_where_the_goal_is_not_met() -> None:
    seen: list[float] = []
    x, y = solve(seen.append, lambda: 0.25 if seen[-1] < 1 else 0.75, 0.3, 0.0, 0.3)
    assert (y, x < 1) == (0.25, True)
    assert len(seen) <= 16
    assert solve(seen.append, lambda: 0.5, 0.1, 0.0, 0.3)[1] == 0.5


@pytest.fixture(scope="module")
def context() -> Context:
    return Context(Job(sizes=QUICK, quick=True, device="cpu"))


def test_families_are_brought_to_the_share_on_both_parts(context: Context) -> None:
    under_test = context.under_test()
    families = (
        uniform_family(under_test),
        shifted_family(under_test, torch.rand(2, 4) + 1),
        rule_family(under_test, lambda x: TopK(count=max(0.0, x)), 3.0, 1.0),
    )
    for family in families:
        matched = match(under_test, family, 0.3, 3, 6)
        assert matched.keep == pytest.approx(0.3, abs=0.01)
        assert matched.keep_on_training == pytest.approx(0.3, abs=0.03)
        family.move(matched.value)
        assert under_test.measure("soft", "held_out", 6).pairs.keep_ratio == matched.keep


def test_steps_are_the_length_of_convergence_as_well() -> None:
    assert Sizes().changed(steps=30).judged_steps == (0, 10, 20, 30)
    assert Sizes().changed(steps=None, held_out=4).held_out == 4
