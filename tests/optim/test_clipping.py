"""Clipping by each member's own norm."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tutti import optim


def clip_factor(gradient: Tensor, limit: float | Tensor) -> Tensor:
    """By each member's own norm, as the engine does."""
    return optim.norm_factor(optim.norms(gradient), limit)


# catalogue: L7
@pytest.mark.parametrize("limit", [0.5, 3.0, 100.0])
def test_clipping_equals_torchs_member_by_member(limit: float) -> None:
    gradient = torch.randn(6, 40, dtype=torch.float64) * torch.logspace(-3, 2, 6, dtype=torch.float64)[:, None]
    clipped = gradient * clip_factor(gradient, limit)
    for ours, given in zip(clipped, gradient, strict=True):
        parameter = torch.nn.Parameter(torch.zeros_like(given))
        parameter.grad = given.clone()
        torch.nn.utils.clip_grad_norm_([parameter], limit)
        assert_close(ours, parameter.grad, rtol=1e-12, atol=0)


# catalogue: L7
def test_zero_gradients_stay_zero() -> None:
    gradient = torch.zeros(3, 5)
    assert torch.equal(gradient * clip_factor(gradient, 1.0), gradient)


# catalogue: L7
def test_clipping_equals_the_formula_up_to_its_epsilon() -> None:
    gradient = torch.tensor([[3.0, 4.0], [0.3, 0.4]], dtype=torch.float64)
    clipped = gradient * clip_factor(gradient, torch.tensor([[1.0], [2.0]], dtype=torch.float64))
    assert_close(clipped, torch.tensor([[0.6, 0.8], [0.3, 0.4]], dtype=torch.float64), rtol=1e-6, atol=0)


def test_one_members_infinity_leaves_the_others_alone() -> None:
    gradient = torch.ones(3, 4)
    gradient[1, 2] = float("inf")
    assert_close(optim.norms(gradient)[:, 0], torch.tensor([2.0, float("inf"), 2.0]))
    assert_close(clip_factor(gradient, 1.0)[:, 0], torch.tensor([0.5, 0.0, 0.5]), rtol=1e-6, atol=0)


@pytest.mark.parametrize("weights", [101, 5442])
def test_norms_do_not_depend_on_the_neighbours(weights: int) -> None:
    gradient = torch.randn(33, weights)
    together = optim.norms(gradient)
    for members in (slice(0, 2), slice(7, 20), slice(30, 33)):
        assert torch.equal(optim.norms(gradient[members]), together[members])
