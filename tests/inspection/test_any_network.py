"""Second order and gradient noise of networks whose fused kernels or decisions torch cannot transform."""

from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from tutti.core import InputError
from tutti.inspection import _noise as noise
from tutti.inspection import curvature, gradient_variance, hessian_product


def squared(output: Tensor, target: Tensor) -> Tensor:
    return (output - target).square().flatten(1).mean(-1)


class Encoded(nn.Module):
    """Attention by torch's fused kernels."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.last = nn.TransformerEncoderLayer(4, 2, 6, batch_first=True), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layer(x)[:, 0])


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.last = nn.GRU(4, 3, batch_first=True), nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layer(x)[0][:, -1])


class Deciding(nn.Module):
    """Looks at its values; and holds a weight that it does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.unused = nn.Linear(4, 3), nn.Linear(3, 1), nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x.mean(1))
        return self.last(torch.tanh(h) if x.sum() > 0 else torch.sin(h))


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 3 * x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        return 3 * slope


class OnceOnly(Deciding):
    def forward(self, x: Tensor) -> Tensor:
        return Once.apply(super().forward(x))


def rows_of(network: nn.Module) -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(0)
    return network.double().eval(), torch.randn(7, 5, 4).double(), torch.randn(7, 1).double()


def gradient(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    network.zero_grad(set_to_none=False)
    squared(network(x), y).mean().backward()
    return torch.cat(
        [torch.zeros_like(p).view(-1) if p.grad is None else p.grad.view(-1) for p in network.parameters()]
    )


@pytest.mark.parametrize("kind", [Encoded, Recurrent, Deciding])
def test_a_product_is_the_difference_of_gradients(kind: type[nn.Module]) -> None:
    """Hv by central differences of the gradient, of which the step's own error is about 1e-9."""
    torch.manual_seed(1)
    network, x, y = rows_of(kind())
    vector = torch.randn(sum(p.numel() for p in network.parameters()), dtype=torch.float64)
    found = hessian_product(network, squared, [x], y)(vector)
    flat = nn.utils.parameters_to_vector(network.parameters()).detach()
    ends = []
    for sign in (1, -1):
        nn.utils.vector_to_parameters(flat + sign * 1e-5 * vector, network.parameters())
        ends.append(gradient(network, x, y))
    assert_close(found, (ends[0] - ends[1]) / 2e-5, rtol=1e-5, atol=1e-7)
    assert curvature(network, squared, [x], y, count=1, steps=20).largest[0] > 0


@pytest.mark.parametrize("kind", [Encoded, Recurrent, Deciding])
def test_gradient_noise_is_that_of_the_rows_one_by_one(kind: type[nn.Module]) -> None:
    torch.manual_seed(1)
    network, x, y = rows_of(kind())
    each = torch.stack([gradient(network, x[i : i + 1], y[i : i + 1]) for i in range(7)])
    length, variance = gradient_variance(network, squared, [x], y, [1, 3])
    assert length == pytest.approx(float(each.mean(0).square().sum()))
    spread = float(each.var(dim=0).sum())
    assert variance == {1: pytest.approx(spread * (1 - 1 / 7)), 3: pytest.approx(spread / 3 * (1 - 3 / 7))}


@pytest.mark.parametrize("together", [1, 2, 3, 100])
def test_a_few_rows_at_a_time_are_all_rows(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32, with a mean far from 0: sums of squares about it are put together without cancellation."""
    torch.manual_seed(2)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    x, y = torch.randn(11, 3), 1000 + torch.randn(11, 1)
    sizes: list[int] = []
    passes = noise._together

    def watched(network: nn.Module, loss: Any, target: Tensor, *inputs: Tensor) -> Tensor | None:
        sizes.append(len(target))
        return passes(network, loss, target, *inputs)

    monkeypatch.setattr(noise, "_together", watched)
    monkeypatch.setattr(noise, "GRADIENT_BYTES", together * 21 * 4)
    length, variance = gradient_variance(network, squared, [x], y, [1])
    assert max(sizes) == min(together, 11)
    each = torch.stack([gradient(network, x[i : i + 1], y[i : i + 1]) for i in range(11)]).double()
    assert length == pytest.approx(float(each.mean(0).square().sum()), rel=1e-5)
    assert variance[1] == pytest.approx(float(each.var(dim=0).sum()) * (1 - 1 / 11), rel=1e-5)


def test_the_gradients_of_many_rows_are_not_held_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,024 rows of 2 million weights would be 17 GB: what is held at once is GRADIENT_BYTES of gradients."""
    network = nn.Sequential(nn.Linear(1024, 1024), nn.Tanh(), nn.Linear(1024, 1024)).double()
    shapes: list[torch.Size] = []
    passes = noise._together

    def watched(*given: Any) -> Tensor | None:
        found = passes(*given)
        assert found is not None
        shapes.append(found.shape)
        return found

    monkeypatch.setattr(noise, "_together", watched)
    torch.manual_seed(0)
    gradient_variance(network, squared, [torch.randn(9, 1024).double()], torch.randn(9, 1024).double(), [1])
    assert max(a * b for a, b in shapes) * 8 <= noise.GRADIENT_BYTES
    assert sum(a for a, _ in shapes) == 9


@pytest.mark.parametrize("tool", [lambda *given: curvature(*given), lambda *given: gradient_variance(*given, [1])])
def test_statistics_and_modes_are_left_as_they_were(tool: Any) -> None:
    norm = nn.BatchNorm1d(4)
    network = nn.Sequential(nn.Linear(4, 4), norm, nn.Linear(4, 1)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with suppress(InputError):  # a single row has no batch statistics
        tool(network, squared, [torch.randn(9, 4)], torch.randn(9, 1))
    assert norm.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_what_has_no_second_derivative_is_told() -> None:
    network, x, y = rows_of(OnceOnly())
    with pytest.raises(InputError, match="can be differentiated only once"):
        curvature(network, squared, [x], y)
    assert gradient_variance(network, squared, [x], y, [1])[0] > 0
    with pytest.raises(InputError, match="does not require grad"):
        curvature(network, lambda o, t: squared(o.detach(), t), [x], y)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    with pytest.raises(InputError, match="no weights that are trained"):
        gradient_variance(network, squared, [x], y, [1])


def test_what_is_frozen_has_no_curvature_and_no_noise() -> None:
    """L = (w·Σx − y)² by the trained w alone: H = 2/n Σ(Σx)²."""
    network = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Linear(1, 1, bias=False)).double()
    nn.init.ones_(network[0].weight)
    network[0].requires_grad_(False)
    torch.manual_seed(0)
    x, y = torch.randn(30, 2).double(), torch.randn(30, 1).double()
    found = curvature(network, squared, [x], y)
    assert found.largest == (pytest.approx(float(2 * x.sum(1).square().mean())),)
    each = 2 * (network(x) - y).detach() * x.sum(1, keepdim=True)
    assert gradient_variance(network, squared, [x], y, [1])[0] == pytest.approx(float(each.mean()) ** 2)


def test_a_row_on_its_own_that_fails_is_told() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)).train()
    with pytest.raises(InputError, match=r"fails on a single row: Expected more than 1 value.*network.eval\(\)"):
        gradient_variance(network, squared, [torch.randn(9, 4)], torch.randn(9, 1), [1])
