"""The verdict says what the intervals allow, and no more."""

import itertools

import numpy as np

from tutti.evaluation import verdict
from tutti.metrics import Difference, paired_difference


def difference(value: float, half: float = 0.009, *, up: bool = True, n: int = 360) -> Difference:
    metric = "accuracy" if up else "rmse"
    value = value if up else -value
    return Difference(
        value=value, low=value - half, high=value + half, metric=metric, n=n, unit="row", higher_is_better=up
    )


# catalogue: E10
def test_each_sentence() -> None:
    ahead = {"trivial": difference(0.8), "linear": difference(0.03), "boosted trees": difference(0.012)}
    assert verdict(ahead) == (
        "The network is better than boosted trees, the strongest baseline, by 0.012 [0.003, 0.021] in accuracy "
        "on 360 test rows."
    )
    assert verdict(ahead | {"linear": difference(0.004)}) == (
        "The network is not distinguishable from the linear baseline at n = 360 (differences above 0.013 in "
        "accuracy are excluded): prefer the linear model, it is simpler."
    )
    both = verdict(ahead | {"linear": difference(0.004), "boosted trees": difference(-0.006)})
    assert "from the linear baseline or boosted trees at n = 360 (differences above 0.015" in both
    assert verdict(ahead | {"boosted trees": difference(0.004)}).endswith(
        "either will do. It is better than the linear baseline."
    )
    behind = {"trivial": difference(2.0, up=False), "linear": difference(-0.2, up=False)}
    assert verdict(behind) == (
        "The network is worse than the linear baseline by 0.200 [0.191, 0.209] in RMSE on 360 test rows: use the "
        "linear model instead."
    )
    assert "the features do not tell the target" in verdict(
        {"trivial": difference(0.001), "linear": difference(0.02)}
    )
    assert verdict({}).startswith("No rows were held out, so there is no verdict")
    assert "better than label propagation by" in verdict({"label propagation": difference(0.1)})
    assert verdict({"label propagation": difference(-0.1)}).endswith("use that instead.")


# catalogue: E10
def test_no_combination_claims_a_win_inside_the_noise() -> None:
    names = ("trivial", "linear", "boosted trees")
    for up in (True, False):
        for values in itertools.product((0.5, 0.02, 0.005, -0.005, -0.02), repeat=3):
            found = {name: difference(value, up=up) for name, value in zip(names, values, strict=True)}
            said = verdict(found)
            assert said.startswith("The network is better than") == all(v > 0.009 for v in values)
            assert ("worse than" in said) == any(v < -0.009 for v in values)
            assert said.endswith(".")
            assert said.count("[") <= 1


# catalogue: E10
def test_equal_models_are_seldom_called_better() -> None:
    rng = np.random.default_rng(0)
    wins = 0
    for seed in range(200):
        target, shared = rng.normal(size=(150, 1)), rng.normal(size=(150, 1))
        a, b = target + shared + 0.5 * rng.normal(size=(150, 1)), target + shared + 0.5 * rng.normal(size=(150, 1))
        wins += verdict({"linear": paired_difference("rmse", target, a, b, seed=seed)}).startswith(
            "The network is better"
        )
    assert wins / 200 <= 0.06
