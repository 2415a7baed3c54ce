"""Images, end to end: the same call, the verdict, the same result again, predictions in their order."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

import tutti
from tutti import core
from tutti.learn import Model, load
from tutti.learn._recipe_images import recipe
from tutti.tasks import infer

OPTIONS: dict[str, Any] = {
    "folds": 2,
    "epochs": 8,
    "batch_size": 32,
    "learning_rates": 4e-3,
    "weight_decays": 0.05,
    "baselines": False,
}
Digits = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def digits(shared_data: Path) -> Digits:
    """Ones and sevens, 14 × 14."""
    with np.load(shared_data / "images" / "mnist.npz") as archive:
        x, y = archive["x_train"][:2000], archive["y_train"][:2000]
    rows = np.flatnonzero(np.isin(y, (1, 7)))[:300]
    small = x[rows].reshape(-1, 14, 2, 14, 2).mean((2, 4)).astype(np.uint8)
    return small, np.where(y[rows] == 1, "one", "seven")


@pytest.fixture(scope="module")
def archive(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits with a test set of their own."""
    path = tmp_path_factory.mktemp("archive") / "digits.npz"
    x, y = digits
    np.savez(path, x_train=x[:200], y_train=y[:200], x_test=x[200:], y_test=y[200:])
    return path


def fit(source: Any, out: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Model:
    """One thread and no stopwatch, so that two fits are equal to the bit."""
    monkeypatch.setattr("tutti.learn._bench.Bench._time", lambda *_: (1e-4, 1e-5, 1e-6))
    monkeypatch.setattr("tutti.learn._bench.Bench._rematch", lambda self, first, *_: first)
    torch.set_num_threads(1)
    return tutti.fit(source, out=out, **OPTIONS | options)


@pytest.fixture(scope="module")
def fitted(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    with pytest.MonkeyPatch.context() as monkeypatch:
        return fit(archive, tmp_path_factory.mktemp("runs") / "digits", monkeypatch)


def test_a_fit_tells_ones_from_sevens_on_the_test_rows_of_the_source(fitted: Model, digits: Digits) -> None:
    # catalogue: D2
    assert fitted.task.kind == "binary"
    assert fitted.result["test"]["n"] == 100
    assert fitted.score_ > 0.9
    assert fitted.run is not None
    assert_array_equal(load(fitted.run).predict_raw(digits[0]), fitted.predict_raw(digits[0]))


def test_predictions_follow_the_order_of_the_images(fitted: Model, digits: Digits) -> None:
    order = np.random.default_rng(0).permutation(len(digits[0]))
    answers = fitted.predict(digits[0])
    assert_array_equal(fitted.predict(digits[0][order]), answers[order])
    assert (answers == digits[1]).mean() > 0.9


def test_the_same_call_gives_the_same_network(
    fitted: Model, digits: Digits, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = fit(archive, tmp_path / "again", monkeypatch)
    assert_array_equal(again.predict_raw(digits[0]), fitted.predict_raw(digits[0]))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["resnet", "lenet", "vit"])
def test_values_are_predicted_by_every_model(
    model: str, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brightness = digits[0].mean((1, 2)).astype(np.float64)
    found = fit((digits[0], brightness), tmp_path / "values", monkeypatch, model=model, epochs=40)
    assert found.task.kind == "regression"
    assert found.score_ < brightness.std()


@pytest.mark.parametrize("rows", [3, 100, 10_000, 100_000])
@pytest.mark.parametrize("side", [8, 28, 160])
def test_the_recipe_fits_every_size(rows: int, side: int) -> None:
    shape = core.ImageShape(channels=3, height=side, width=side)
    found = recipe(shape, rows, infer(np.arange(rows) % 3, ["y"]))
    assert 1 <= found.batch_size <= rows
    assert found.model.build(shape, 10).eval()(torch.zeros(1, 3, side, side, dtype=torch.uint8)).shape == (1, 10)
