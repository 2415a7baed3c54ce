"""Linear classifiers trained to convergence equal scikit-learn's unpenalised solution, on every expansion."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from torch.nn import functional

from tutti import core, data, models


def _network(config: models.Linear, x: np.ndarray, outputs: int) -> models.TableNetwork:
    network = config.build(core.TableShape(numbers=x.shape[1]), outputs)
    network.load_state_dict(data.fit_front(network, x, np.zeros((len(x), 0), np.int64)), strict=False)
    return network.double()


def _features(network: models.TableNetwork, x: np.ndarray) -> np.ndarray:
    codes = torch.zeros(len(x), 0, dtype=torch.int64)
    return network.front(torch.from_numpy(x).double(), codes)[0].numpy()


def _minimise(network: models.TableNetwork, x: np.ndarray, y: np.ndarray, kind: str) -> np.ndarray:
    """Trains by L-BFGS to convergence; the network's output."""
    numbers, codes = torch.from_numpy(x).double(), torch.zeros(len(x), 0, dtype=torch.int64)
    target = torch.from_numpy(y)
    optimiser = torch.optim.LBFGS(
        network.parameters(), max_iter=3000, tolerance_grad=1e-10, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        output = network(numbers, codes)
        if kind == "softmax":
            return functional.cross_entropy(output, target)
        if kind == "logistic":
            return functional.binary_cross_entropy_with_logits(output[:, 0], target.double())
        return (output[:, 0] - target).square().mean()

    def closure() -> float:
        optimiser.zero_grad()
        value = loss()
        value.backward()
        return value.item()

    optimiser.step(closure)
    return network(numbers, codes).detach().numpy()


def _clouds(separation: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.arange(300) % 2
    x = rng.normal(size=(300, 2)) + separation * np.stack([y, -y], 1)
    return x.astype(np.float32), y


CONFIGS = [
    models.Linear(),
    models.Linear(scaling="minmax", expansion="polynomial", degree=3),
    models.Linear(expansion="rbf", centres=6, width=0.5),
]


# catalogue: T12
@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_logistic_regression_is_scikit_learns(config: models.Linear) -> None:
    x, y = _clouds()
    network = _network(config, x, 1)
    output = _minimise(network, x, y, "logistic")[:, 0]
    peer = LogisticRegression(C=np.inf, tol=1e-10, max_iter=100_000).fit(_features(network, x), y)
    np.testing.assert_allclose(output, peer.decision_function(_features(network, x)), atol=2e-3)


# catalogue: T12
@pytest.mark.parametrize(("width", "factor"), [(3.0, 3.0), (0.0, 1 / 2)])
def test_bumps_stand_on_training_rows(width: float, factor: float) -> None:
    x, _ = _clouds()
    z = (x - x.mean(0)) / x.std(0)
    ours = _features(_network(models.Linear(expansion="rbf", centres=300, width=width), x, 1), x)
    np.testing.assert_allclose(ours, np.exp(-factor * ((z[:, None] - z) ** 2).sum(-1)), atol=1e-5)


# catalogue: A1
def test_softmax_regression_on_iris_is_scikit_learns() -> None:
    x, y = load_iris(return_X_y=True)
    x, y = x[:, :2].astype(np.float32), y.astype(np.int64)  # sepals: not separable, so that a solution exists
    network = _network(models.Linear(), x, 3)
    output = torch.from_numpy(_minimise(network, x, y, "softmax")).softmax(-1).numpy()
    peer = LogisticRegression(C=np.inf, tol=1e-10, max_iter=100_000).fit(_features(network, x), y)
    np.testing.assert_allclose(output, peer.predict_proba(_features(network, x)), atol=1e-3)


# catalogue: A1
def test_single_neuron_regression_is_least_squares() -> None:
    x, _ = _clouds()
    y = (x @ [2.0, -1.0] + 0.5 + np.random.default_rng(1).normal(size=300)).astype(np.float64)
    network = _network(models.Linear(), x, 1)
    output = _minimise(network, x, y, "squared")[:, 0]
    np.testing.assert_allclose(output, LinearRegression().fit(x, y).predict(x), atol=1e-5)


def _perceptron_errors(config: models.Linear, x: np.ndarray, y: np.ndarray, epochs: int) -> list[int]:
    """Errors by epoch under the batch perceptron rule: w += Σ y x over the rows that are wrong."""
    network = _network(config, x, 1)
    sign = torch.from_numpy(2.0 * y - 1)
    numbers, codes = torch.from_numpy(x).double(), torch.zeros(len(x), 0, dtype=torch.int64)
    errors = []
    for _ in range(epochs):
        margin = network(numbers, codes)[:, 0] * sign
        errors.append(int((margin <= 0).sum()))
        network.zero_grad()
        (-margin[margin <= 0].sum()).backward()
        with torch.no_grad():
            for p in network.parameters():
                p -= p.grad
    return errors


# catalogue: T12
def test_batch_perceptron_settles_on_separable_data_and_never_on_xor() -> None:
    x, y = _clouds(separation=8.0)
    assert _perceptron_errors(models.Linear(), x, y, 100)[-1] == 0
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    xor = np.array([0, 1, 1, 0])
    assert min(_perceptron_errors(models.Linear(), corners, xor, 300)) > 0
    for config in (models.Linear(expansion="polynomial"), models.Linear(expansion="rbf", centres=4, width=1.0)):
        assert _perceptron_errors(config, corners, xor, 300)[-1] == 0
