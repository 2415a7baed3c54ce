"""# catalogue: L2, L8. Second order is exact on quadratics; gradient noise is what enumerating batches gives."""

from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from tutti.core import InputError
from tutti.inspection import curvature, gradient_variance, hessian_product, lanczos


def squared(output: Tensor, target: Tensor) -> Tensor:
    return (output - target).square().mean(-1)


@pytest.fixture
def bowl() -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    """A linear model: its Hessian is 2/N XᵀX, whatever the weights."""
    torch.manual_seed(0)
    x = torch.randn(40, 7, dtype=torch.float64) * torch.logspace(0, -1, 7, dtype=torch.float64)
    network = nn.Linear(7, 1, bias=False).double()
    return network, x, torch.randn(40, 1, dtype=torch.float64), 2 / 40 * x.T @ x


def test_a_product_is_the_dense_hessian_times_the_vector() -> None:
    """Against torch.autograd.functional.hessian, on a network that is no quadratic."""
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    x, y = torch.randn(9, 3).double(), torch.randn(9, 2).double()
    names, sizes = [n for n, _ in network.named_parameters()], [p.numel() for p in network.parameters()]
    shapes = [p.shape for p in network.parameters()]

    def loss_at(flat: Tensor) -> Tensor:
        parts = [part.view(shape) for part, shape in zip(flat.split(sizes), shapes, strict=True)]
        return squared(torch.func.functional_call(network, dict(zip(names, parts, strict=True)), (x,)), y).mean()

    dense = torch.autograd.functional.hessian(
        loss_at, torch.cat([p.detach().reshape(-1) for p in network.parameters()])
    )
    vector = torch.randn(26, dtype=torch.float64)
    assert_close(hessian_product(network, squared, [x], y)(vector), dense @ vector)


def test_lanczos_gives_the_dense_spectrum(bowl: tuple[nn.Module, Tensor, Tensor, Tensor]) -> None:
    network, x, y, dense = bowl
    found = curvature(network, squared, [x], y, count=7, steps=7)
    expected = torch.linalg.eigvalsh(dense)
    assert_close(torch.tensor(found.largest, dtype=torch.float64), expected.flip(0), rtol=1e-9, atol=1e-12)
    assert_close(torch.tensor(found.smallest, dtype=torch.float64), expected, rtol=1e-9, atol=1e-12)
    assert found.residual < 1e-9


def test_few_steps_settle_the_ends_of_a_large_spectrum() -> None:
    values = torch.cat([torch.linspace(0, 1, 398), torch.tensor([3.0, 5.0])]).double()
    rotation = torch.linalg.qr(torch.randn(400, 400, generator=torch.Generator().manual_seed(0)).double())[0]
    matrix = rotation @ torch.diag(values) @ rotation.T
    found, vectors = lanczos(lambda v: matrix @ v, torch.ones(400, dtype=torch.float64), 30)
    assert_close(found[-2:], values[-2:], rtol=1e-8, atol=1e-8)
    assert_close(vectors.T @ vectors, torch.eye(30, dtype=torch.float64), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("share", "shrinks"), [(0.99, True), (1.01, False)])
def test_descent_is_stable_exactly_below_two_over_the_largest_eigenvalue(
    bowl: tuple[nn.Module, Tensor, Tensor, Tensor], share: float, shrinks: bool
) -> None:
    network, x, y, _ = bowl
    rate = share * curvature(network, squared, [x], y, steps=7).largest_stable_step
    best = torch.linalg.lstsq(x, y).solution
    w = best + 1.0
    for _ in range(3000):
        w = w - rate * 2 / 40 * x.T @ (x @ w - y)
    assert (float((w - best).norm()) < 1.0) == shrinks


def test_the_best_rate_is_the_fastest_and_one_over_lambda_lands_in_one_step(
    bowl: tuple[nn.Module, Tensor, Tensor, Tensor],
) -> None:
    network, x, y, dense = bowl
    best = curvature(network, squared, [x], y, count=7, steps=7).best_step
    assert best is not None
    values = torch.linalg.eigvalsh(dense)

    def worst(rate: float) -> float:
        return float((1 - rate * values).abs().max())

    assert all(worst(best) < worst(best * factor) for factor in (0.9, 0.99, 1.01, 1.1))
    one = nn.Linear(1, 1, bias=False).double()
    x1, y1 = torch.tensor([[2.0], [1.0]]).double(), torch.tensor([[6.0], [3.0]]).double()
    rate = 1 / curvature(one, squared, [x1], y1).largest[0]
    loss = squared(one(x1), y1).mean()
    loss.backward()
    with torch.no_grad():
        one.weight -= rate * one.weight.grad
    assert_close(one.weight.detach(), torch.tensor([[3.0]]).double())


def test_a_saddle_has_no_best_rate() -> None:
    class Saddle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.tensor([1.0, 1.0], dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            return x * (self.w[0] ** 2 - 3 * self.w[1] ** 2)

    found = curvature(Saddle(), lambda output, _: output, [torch.ones(1).double()], torch.zeros(1))
    assert_close(torch.tensor([found.largest[0], found.smallest[0]]), torch.tensor([2.0, -6.0]))
    assert found.best_step is None


def test_mini_batch_gradients_are_unbiased_and_vary_as_enumerated() -> None:
    torch.manual_seed(2)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    x, y = torch.randn(7, 3).double(), torch.randn(7, 1).double()

    def gradient(rows: list[int]) -> np.ndarray:
        network.zero_grad()
        squared(network(x[rows]), y[rows]).mean().backward()
        return torch.cat([p.grad.reshape(-1) for p in network.parameters()]).numpy()

    whole = gradient(list(range(7)))
    length, variance = gradient_variance(network, squared, [x], y, [1, 2, 3, 7])
    assert length == pytest.approx(float((whole**2).sum()))
    for size in (1, 2, 3, 7):
        batches = [gradient(list(rows)) for rows in combinations(range(7), size)]
        np.testing.assert_allclose(np.mean(batches, axis=0), whole, rtol=1e-10)
        assert variance[size] == pytest.approx(np.mean([((g - whole) ** 2).sum() for g in batches]), abs=1e-12)


def test_bad_input_is_told(bowl: tuple[nn.Module, Tensor, Tensor, Tensor]) -> None:
    network, x, y, _ = bowl
    with pytest.raises(InputError, match="8 numbers; the network has 7 weights"):
        hessian_product(network, squared, [x], y)(torch.ones(8).double())
    with pytest.raises(InputError, match="no weights"):
        hessian_product(nn.Identity(), squared, [x], y)
    with pytest.raises(InputError, match="batch size 41"):
        gradient_variance(network, squared, [x], y, [41])
    with pytest.raises(InputError, match="count is 0"):
        curvature(network, squared, [x], y, count=0)
