"""Under, good and over are recognised, on curves and on models made for it."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import PolynomialFeatures

from tutti.core import InputError
from tutti.evaluation import Curves, FitQuality, fit_quality
from tutti.metrics import Interval, score

STEP = list(range(0, 1000, 20))
T = np.linspace(0, 1, 50)


def band(value: float, half: float) -> Interval:
    return Interval(value=value, low=value - half, high=value + half)


def curves(train: np.ndarray, valid: np.ndarray, loss: np.ndarray | None = None) -> Curves:
    fallen = 1.2 - train if loss is None else loss
    return Curves(step=STEP, train_loss=list(fallen), train_score=list(train), score=list(valid))


# catalogue: E5
def test_curves_of_each_kind() -> None:
    saturated = 1 - np.exp(-8 * T)
    good = fit_quality(curves(0.95 * saturated, 0.93 * saturated), "accuracy", band(0.93, 0.02), baseline=0.92)
    assert (good.quality, good.remedy) == ("good", "None is needed.")

    interpolated = fit_quality(curves(saturated, 0.9 * saturated), "accuracy", band(0.9, 0.02), baseline=0.9)
    assert interpolated.quality == "good"
    assert "does not suffer" in interpolated.reason
    assert "more rows" in interpolated.remedy

    falling = 0.9 * saturated - 0.3 * np.maximum(T - 0.4, 0)
    over = fit_quality(curves(saturated, falling), "accuracy", band(falling.max(), 0.02), baseline=0.8)
    assert over.quality == "over"
    assert "weight decay" in over.remedy

    climbing = 0.7 * T
    short = fit_quality(curves(climbing, climbing - 0.01), "accuracy", band(0.69, 0.03), baseline=0.9)
    assert short.quality == "under"
    assert "still learning" in short.reason

    low = 0.7 * saturated
    small = fit_quality(curves(low, low - 0.01), "accuracy", band(0.69, 0.03), baseline=0.9)
    assert small.quality == "under"
    assert "larger network" in small.remedy

    nothing = fit_quality(curves(0.5 + 0 * T, 0.5 + 0 * T), "accuracy", band(0.5, 0.03), baseline=0.51, trivial=0.5)
    assert nothing.quality == "good"
    assert "features" in nothing.remedy


# catalogue: E5
def test_noise_alone_changes_no_verdict() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        saturated = 1 - np.exp(-8 * T)
        train = 0.95 * saturated + 0.004 * rng.normal(size=50)
        valid = 0.92 * saturated + 0.008 * rng.normal(size=50)
        found = fit_quality(curves(train, valid), "accuracy", band(valid.max(), 0.012), baseline=0.91)
        assert found.quality == "good", (seed, found)


def sample(rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x = rng.uniform(-1, 1, (rows, 1))
    return x, np.sin(4 * x) + 0.15 * rng.normal(size=(rows, 1))


def judged_once(degree: int, rows: int, seed: int) -> FitQuality:
    """A polynomial fitted at once: curves of one point."""
    rng = np.random.default_rng(seed)
    (x, y), (v, w) = sample(rows, rng), sample(300, rng)
    bases = {d: PolynomialFeatures(d).fit(x) for d in (degree, 5)}
    models = {d: LinearRegression().fit(bases[d].transform(x), y) for d in bases}
    found = {d: score("rmse", w, models[d].predict(bases[d].transform(v))) for d in bases}
    train = score("rmse", y, models[degree].predict(bases[degree].transform(x))).value
    mean = score("rmse", w, np.full_like(w, y.mean())).value
    point = Curves(step=[1], train_loss=[train**2], train_score=[train], score=[found[degree].value])
    return fit_quality(point, "rmse", found[degree], baseline=found[5].value, trivial=mean)


# catalogue: E5
@pytest.mark.parametrize(("degree", "rows", "expected"), [(1, 200, "under"), (5, 200, "good"), (16, 20, "over")])
def test_polynomials_of_low_right_and_high_degree(degree: int, rows: int, expected: str) -> None:
    found = [judged_once(degree, rows, seed).quality for seed in range(20)]
    assert found.count(expected) >= 18, found


def judged_network(rows: int, hidden: tuple[int, ...], rate: float, epochs: int, noise: float) -> FitQuality:
    rng = np.random.default_rng(0)
    x, v = rng.uniform(-1, 1, (rows, 2)), rng.uniform(-1, 1, (400, 2))

    def truth(z: np.ndarray) -> np.ndarray:
        return np.sin(3 * z[:, 0]) * z[:, 1]

    y, w = truth(x) + noise * rng.normal(size=rows), truth(v) + noise * rng.normal(size=400)
    size = min(rows, 50)
    network = MLPRegressor(
        hidden_layer_sizes=hidden, activation="tanh", learning_rate_init=rate, batch_size=size, random_state=0
    )
    rows_of: list[tuple[int, float, float]] = []
    predicted = v[:, 0]
    best = np.inf
    for epoch in range(epochs):
        network.partial_fit(x, y)
        if epoch % max(1, epochs // 40) == 0 or epoch == epochs - 1:
            train = float(np.sqrt(np.mean((network.predict(x) - y) ** 2)))
            valid = float(np.sqrt(np.mean((network.predict(v) - w) ** 2)))
            rows_of.append((epoch, train, valid))
            if valid < best:
                best, predicted = valid, network.predict(v)
    step, train_score, valid_score = zip(*rows_of, strict=True)
    made = Curves(step=step, train_loss=[s**2 for s in train_score], train_score=train_score, score=valid_score)
    linear = LinearRegression().fit(x, y).predict(v)
    return fit_quality(
        made, "rmse", score("rmse", w[:, None], predicted[:, None]),
        baseline=min(float(np.sqrt(np.mean((linear - w) ** 2))), 1.15 * noise),
        trivial=float(np.sqrt(np.mean((y.mean() - w) ** 2))),
    )  # fmt: skip


# catalogue: E5
@pytest.mark.parametrize(
    ("case", "expected", "why"),
    [
        ((400, (16,), 0.01, 250, 0.1), "good", "at its best"),
        ((60, (100, 100), 0.01, 600, 0.4), "over", "by heart"),
        ((400, (1,), 0.01, 300, 0.1), "under", "a simpler model does better"),
        ((400, (16,), 0.003, 40, 0.1), "under", "still learning"),
    ],
)
def test_networks_right_too_free_too_small_and_too_short(case: tuple, expected: str, why: str) -> None:
    found = judged_network(*case)
    assert found.quality == expected
    assert why in found.reason


def test_curves_must_fit_together() -> None:
    with pytest.raises(InputError, match="one value of each kind"):
        Curves(step=[1, 2], train_loss=[1.0], train_score=[1.0, 1.0], score=[1.0, 1.0])
    found = fit_quality(curves(T, T), "accuracy", band(1.0, 0.01))
    assert set(found.to_json()) == {"quality", "reason", "remedy"}
