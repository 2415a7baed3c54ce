"""Recurrent layers by torch's own kernels: one call for all steps, layers and directions of one network."""

import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tutti.nn._recurrent_cells import Weights

Kernel = Callable[..., tuple[Tensor, ...]]


def fused(
    kernel: Kernel,
    x: Float[Tensor, "*member batch time inputs"],
    lengths: Tensor | None,
    state: Float[Tensor, "*member layer batch S"],
    weights: Sequence[Sequence[Weights]],
) -> tuple[Float[Tensor, "*member batch time out"], Float[Tensor, "*member layer batch S"]]:
    """The outputs and the last state of these layers (each a list of its directions' weights).

    `kernel` is torch.lstm or one of its kin. Members run one after another.
    """
    if x.ndim == 3:
        return _one(kernel, x, lengths, state, [w for layer in weights for w in layer], len(weights))
    split = [[_members(w, len(x)) for w in layer] for layer in weights]
    sizes = [None] * len(x) if lengths is None else lengths.unbind()
    each = [
        fused(kernel, *given, [[w[member] for w in layer] for layer in split])
        for member, given in enumerate(zip(x.unbind(), sizes, state.unbind(), strict=True))
    ]
    outputs, last = zip(*each, strict=True)
    return torch.stack(outputs), torch.stack(last)


def _members(w: Weights, count: int) -> list[Weights]:
    parts = ([None] * count if p is None else p.unbind() for p in w)
    return [Weights(*part) for part in zip(*parts, strict=True)]


def _one(
    kernel: Kernel, x: Tensor, lengths: Tensor | None, state: Tensor, weights: list[Weights], layers: int
) -> tuple[Tensor, Tensor]:
    flat = [p for w in weights for p in w if p is not None]
    # Between layers we drop out ourselves; cuDNN keeps what a backward pass needs in training alone.
    options = (weights[0].bias_ih is not None, layers, 0.0, torch.is_grad_enabled(), len(weights) > layers)
    packed = None
    if lengths is not None:
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        state = state[:, packed.sorted_indices]
    parts = [s.contiguous() for s in state.split(weights[0].hh.shape[-1], -1)]
    start: Any = parts if len(parts) > 1 else parts[0]
    with _quiet(x):
        if packed is None:
            output, *last = kernel(x, start, flat, *options, True)
            return output, torch.cat(last, -1)
        data, *last = kernel(packed.data, packed.batch_sizes, start, flat, *options)
    output, _ = pad_packed_sequence(packed._replace(data=data), batch_first=True, total_length=x.shape[1])
    return output, torch.cat(last, -1)[:, packed.unsorted_indices]


def _quiet(x: Tensor) -> AbstractContextManager[object]:
    """cuDNN asks for weights in one block in its own order; ours are views of a member's row, and it copies them."""
    if not x.is_cuda or torch.compiler.is_compiling():
        return nullcontext()
    return warnings.catch_warnings(action="ignore", category=UserWarning)
