"""Gradient noise: how much the gradients of mini-batches differ from that of all rows."""

import warnings
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tutti.core import InputError
from tutti.inspection._curvature import Loss, derivative, first_line
from tutti.inspection._untouched import untouched

TOGETHER = 64  # rows whose gradients are taken in one pass, at most
GRADIENT_BYTES = 2**27  # of their gradients
_FAILURES = (RuntimeError, TypeError, ValueError, IndexError)  # of forward, or of what vmap makes of it


def gradient_variance(
    network: nn.Module, loss: Loss, inputs: Sequence[Tensor], target: Tensor, batch_sizes: Sequence[int]
) -> tuple[float, dict[int, float]]:
    """‖∇L‖², and for each batch size K the variance E‖g_B − ∇L‖² of the mini-batch gradient, over all batches of K
    distinct rows.

    Per-sample gradients gᵢ give it exactly: with S² = 1/(N−1) Σ‖gᵢ − ∇L‖² it is (S²/K)(1 − K/N): it falls as 1/K,
    and with the whole data set nothing is left. The network must treat rows independently (evaluation mode); its
    buffers and mode are left as they are.

    The gradients of a few rows are held at a time, TOGETHER or GRADIENT_BYTES of them. InputError: nothing is
    trained, a batch size that the rows do not have, or a single row of which no gradient can be taken.
    """
    rows = len(target)
    for size in batch_sizes:
        if not 1 <= size <= rows:
            raise InputError(f"The batch size {size} is not possible with {rows} rows.")
    if not any(p.requires_grad for p in network.parameters()):
        raise InputError("The network has no weights that are trained.")
    mean, spread, before = torch.zeros(()), 0.0, 0
    with untouched(network), torch.enable_grad():
        for found in _per_row(network, loss, inputs, target):
            # Chan, Golub and LeVeque (1979): the sum of squares about the mean of two parts put together.
            count, own = len(found), found.mean(0)
            shift = own - mean
            share = count / (before + count)
            spread += float((found - own).square().sum()) + float(shift.square().sum()) * before * share
            mean, before = mean + shift * share, before + count
    spread /= max(rows - 1, 1)
    return float(mean.square().sum()), {k: spread / k * (1 - k / rows) for k in batch_sizes}


def _per_row(
    network: nn.Module, loss: Loss, inputs: Sequence[Tensor], target: Tensor
) -> Iterator[Float[Tensor, "some weights"]]:
    """The gradients of the rows, some rows at a time: through torch.func.vmap, or where that cannot carry the network
    one row after another."""
    row = sum(p.numel() * p.element_size() for p in network.parameters() if p.requires_grad)
    size = max(1, min(TOGETHER, GRADIENT_BYTES // row))
    together = True
    for first in range(0, len(target), size):
        part = tuple(x[first : first + size] for x in (target, *inputs))
        found = _together(network, loss, *part) if together else None
        together = found is not None
        yield _one_by_one(network, loss, *part) if found is None else found


def _together(
    network: nn.Module, loss: Loss, target: Tensor, *inputs: Tensor
) -> Float[Tensor, "some weights"] | None:
    """Of these rows in one pass; None where vmap cannot carry the network."""
    parameters = {k: v.detach() for k, v in network.named_parameters() if v.requires_grad}

    def of_row(values: dict[str, Tensor], target: Tensor, *inputs: Tensor) -> Tensor:
        output = torch.func.functional_call(network, values, tuple(x[None] for x in inputs))
        return loss(output, target[None]).mean()

    per_row = torch.func.vmap(torch.func.grad(of_row), in_dims=(None, 0, *[0] * len(inputs)))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="There is a performance drop")  # a rule that vmap lacks
            found = per_row(parameters, target, *inputs)
    except torch.OutOfMemoryError:
        raise
    except _FAILURES:
        return None
    return torch.cat([g.reshape(len(target), -1) for g in found.values()], dim=1)


def _one_by_one(network: nn.Module, loss: Loss, target: Tensor, *inputs: Tensor) -> Float[Tensor, "some weights"]:
    """Of one row after another."""
    weights = [p for p in network.parameters() if p.requires_grad]
    found = []
    for i in range(len(target)):
        try:
            total = loss(network(*(x[i : i + 1] for x in inputs)), target[i : i + 1]).mean()
        except torch.OutOfMemoryError:
            raise
        except _FAILURES as error:
            raise InputError(
                f"The network fails on a single row: {first_line(error)}",
                fix="Put it in evaluation mode (network.eval()) where it takes statistics over its batch.",
            ) from error
        found.append(torch.cat([g.reshape(-1) for g in derivative(total, weights)]))
    return torch.stack(found)
