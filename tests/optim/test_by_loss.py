"""Rules that look at the loss follow their papers' algorithms, in NumPy, on a function with a known loss."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tutti import optim
from tutti.optim import Rule, Stepper

from .shaped import LAYOUT, rates, start

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    PO: Any = pytest.importorskip("pytorch_optimizer")
STEPS = 25
CURVE = torch.linspace(0.5, 2.0, LAYOUT.count, dtype=torch.float64)
CURVE[LAYOUT.used :] = 0


def loss_of(weights: Tensor, step: int) -> Tensor:
    """A bowl whose middle wanders from step to step, above 0.3."""
    return 0.5 * (CURVE * (weights - np.sin(step)) ** 2).sum(-1) + 0.3


def slope_of(weights: Tensor, step: int) -> Tensor:
    return CURVE * (weights - np.sin(step))


def train(rule: Rule, peaks: Tensor, momentum: float = 0.9) -> Tensor:
    weights = start()
    stepper = Stepper(rule.bind(LAYOUT), weights)
    for step in range(1, STEPS + 1):
        gradient = slope_of(weights, step)

        def again(step: int = step, gradient: Tensor = gradient) -> Tensor:
            gradient.copy_(slope_of(weights, step))
            return loss_of(weights, step)

        stepper.move(
            weights,
            gradient,
            step=step,
            rate=peaks,
            weight_decay=None,
            momentum=momentum,
            loss=loss_of(weights, step),
            again=again,
        )
    return weights


# catalogue: L6
def test_alig_is_pytorch_optimizers() -> None:
    ours = train(optim.ALIG(), rates())
    for row, peak, own in zip(start(), rates()[:, 0].tolist(), ours, strict=True):
        parameter = torch.nn.Parameter(row.clone())
        optimizer = PO.AliG([parameter], max_lr=peak, momentum=0.9)
        for step in range(1, STEPS + 1):
            parameter.grad = slope_of(parameter.detach(), step)
            value = float(loss_of(parameter.detach(), step))
            optimizer.step(lambda value=value: value)
        assert_close(own, parameter.detach(), rtol=1e-6, atol=1e-6)  # its norm is in float32


# catalogue: L6
def test_aegd_is_algorithm_1() -> None:
    ours = train(optim.AEGD(shift=0.5), 10 * rates())
    for row, peak, own in zip(start(), 10 * rates()[:, 0], ours, strict=True):
        w, energy = row.numpy().copy(), None
        for step in range(1, STEPS + 1):
            root = np.sqrt(loss_of(torch.as_tensor(w), step).numpy() + 0.5)
            v = slope_of(torch.as_tensor(w), step).numpy() / (2 * root)
            energy = np.full_like(w, root) if energy is None else energy
            energy = energy / (1 + 2 * peak.item() * v * v)
            w = w - 2 * peak.item() * energy * v
        assert_close(own.numpy(), w, rtol=1e-10, atol=1e-12)


# catalogue: L6
def test_eve_is_the_papers_algorithm() -> None:
    ours = train(optim.Eve(beta3=0.9, limit=3.0), rates())
    for row, peak, own in zip(start(), rates()[:, 0], ours, strict=True):
        w = row.numpy().copy()
        mean, square, swing, last = np.zeros_like(w), np.zeros_like(w), 1.0, 0.0
        for step in range(1, STEPS + 1):
            now = loss_of(torch.as_tensor(w), step).item()
            if step > 1:
                change = abs(now - last) / min(now, last)
                swing = 0.9 * swing + 0.1 * np.clip(change, 1 / 3, 3)
            last, g = now, slope_of(torch.as_tensor(w), step).numpy()
            mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
            size = np.sqrt(square / (1 - 0.999**step)) + 1e-8
            w = w - peak.item() / swing * mean / (1 - 0.9**step) / size
        assert_close(own.numpy(), w, rtol=1e-10, atol=1e-12)


# catalogue: L6
def test_pal_goes_to_the_lowest_point_of_the_line() -> None:
    weights = start()
    gradient = slope_of(weights, 1)
    slope = gradient.clone()
    exact = (slope * slope).sum(1) / (CURVE * slope * slope).sum(1)
    rule = optim.PAL(beta=0.0, stretch=1.0, longest=1e3)
    stepper = Stepper(rule, weights)
    before = weights.clone()
    stepper.move(
        weights,
        gradient,
        step=1,
        rate=rates(),
        weight_decay=None,
        momentum=0.9,
        loss=loss_of(before, 1),
        again=lambda: loss_of(weights, 1),
    )
    assert_close(weights, before - exact[:, None] * slope, rtol=1e-7, atol=1e-9)


# catalogue: L6
@pytest.mark.parametrize("longest", [3.16, 0.05])
def test_pal_is_the_papers_algorithm_with_momentum(longest: float) -> None:
    ours = train(optim.PAL(longest=longest), rates())
    for row, peak, own in zip(start(), rates()[:, 0], ours, strict=True):
        w, v, mu = row.numpy().copy(), np.zeros(len(row)), peak.item()
        for step in range(1, STEPS + 1):
            g = slope_of(torch.as_tensor(w), step).numpy()
            v = 0.4 * v + g
            d = -v / np.linalg.norm(v)
            b = g @ d
            there, here = (loss_of(torch.as_tensor(x), step).item() for x in (w + mu * d, w))
            a = (there - here - mu * b) / mu**2
            s = -b / (2 * a) if a > 0 and b < 0 else mu if b < 0 else 0.0
            w = w + min(1.66 * s, longest) * d
        assert_close(own.numpy(), w, rtol=1e-6, atol=1e-8)


def test_options_out_of_range_are_refused() -> None:
    for kind, wrong in ((optim.AEGD, "shift"), (optim.ALIG, "delta"), (optim.Eve, "limit"), (optim.PAL, "beta")):
        with pytest.raises(ValueError, match=wrong):
            kind(**{wrong: -1.0})
