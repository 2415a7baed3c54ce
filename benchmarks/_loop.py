"""The bare torch loop that tutti is measured against, written to be fast.

No DataLoader: an epoch's rows are gathered once by a permutation, and a batch is a view of them. Adam is
torch's fused one. It does what the engine does and no more: the gradient is clipped at norm 1, the rate follows
warm-up and cosine, the loss is summed without waiting for it.
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def network(widths: tuple[int, ...]) -> nn.Sequential:
    """Dense layers of these widths with ReLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def factors(steps: int, warmup: float = 0.1) -> list[float]:
    """Multipliers of the rate: warm-up over a tenth of the steps, times a cosine to zero."""
    first = math.ceil(warmup * steps)
    return [0.5 * (1 + math.cos(math.pi * t / steps)) * min(1.0, (t + 1) / first) for t in range(steps)]


def train(
    x: Tensor,
    y: Tensor,
    widths: tuple[int, ...],
    *,
    steps: int,
    batch: int,
    rate: float = 1e-3,
    decay: float = 0.0,
    seed: int = 0,
) -> tuple[nn.Module, Tensor]:
    """One network trained for so many steps, and its mean training loss."""
    torch.manual_seed(seed)
    model = network(widths)
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=True)
    group = optimizer.param_groups[0]
    total = torch.zeros(())
    per_epoch = len(x) // batch
    shuffled = iter(())
    for step, factor in enumerate(factors(steps)):
        if step % per_epoch == 0:
            order = torch.randperm(len(x))[: per_epoch * batch]
            shuffled = zip(x[order].split(batch), y[order].split(batch), strict=True)
        inputs, target = next(shuffled)
        loss = F.cross_entropy(model(inputs), target)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        group["lr"] = rate * factor
        optimizer.step()
        total += loss.detach()
    return model, total / steps
