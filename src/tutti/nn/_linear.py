"""Dense layers, written once for one network and for a stack of them.

In the stacked form every parameter and every input carries one leading axis `member`.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tutti.nn._initialise import initialise
from tutti.nn._onednn import onednn, worthwhile


def dense(
    x: Float[Tensor, "*batch inputs"],
    weight: Float[Tensor, "*member outputs inputs"],
    bias: Float[Tensor, "*member outputs"] | None = None,
) -> Float[Tensor, "*batch outputs"]:
    """x Wᵀ + b, for one network or, where the weight has three axes, for a stack; without b where it is None.

    Large products of float32 on the CPU, forward and backward, are made by whichever library is the faster here
    (`_onednn`); the values are the same to rounding.
    """
    stacked = weight.ndim == 3
    terms = x.numel() * weight.shape[-2] // (len(weight) if stacked else 1)
    plain = x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu" and not torch.compiler.is_compiling()
    if plain and not torch.is_autocast_enabled("cpu") and worthwhile(terms, stacked=stacked):
        # oneDNN wants a stack's weights in one piece: copied here, where the backward pass finds the copy again.
        y: Tensor = _WideDense.apply(x, weight.contiguous(), bias)  # type: ignore[no-untyped-call]
        return y
    return _dense(x, weight, bias)


def _dense(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if weight.ndim == 2:
        return functional.linear(x, weight, bias)
    if x.ndim == 3:  # the batch last in memory: what is multiplied fastest, forward and backward
        y = torch.bmm(weight, x.mT) if bias is None else torch.baddbmm(bias.unsqueeze(2), weight, x.mT)
        return y.mT
    flat = x.flatten(1, -2)
    y = torch.bmm(flat, weight.mT) if bias is None else torch.baddbmm(bias.unsqueeze(1), flat, weight.mT)
    return y.view(*x.shape[:-1], weight.shape[1])


class _WideDense(torch.autograd.Function):
    """`_dense` whose products, forward and backward, go to oneDNN."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        with onednn():
            return _dense(x, weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], output: Tensor) -> None:
        x, weight, bias = inputs
        ctx.save_for_backward(x, weight)
        ctx.biased = bias is not None

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        with onednn():
            to_x = _to_inputs(slope, weight) if ctx.needs_input_grad[0] else None
            to_weight = _to_weight(slope, x, weight.ndim) if ctx.needs_input_grad[1] else None
        to_bias = slope.sum(tuple(range(weight.ndim - 2, slope.ndim - 1))) if ctx.biased else None
        return to_x, to_weight, to_bias


def _to_inputs(slope: Tensor, weight: Tensor) -> Tensor:
    if weight.ndim == 2:
        return slope @ weight
    if slope.ndim == 3:
        return torch.bmm(weight.mT, slope.mT).mT
    return torch.bmm(slope.flatten(1, -2), weight).view(*slope.shape[:-1], weight.shape[2])


def _to_weight(slope: Tensor, x: Tensor, axes: int) -> Tensor:
    if axes == 2:
        return slope.flatten(0, -2).mT @ x.flatten(0, -2)
    return torch.bmm(slope.flatten(1, -2).mT, x.flatten(1, -2))


class Linear(nn.Module):
    """y = x Wᵀ + b.

    weight [*member, outputs, inputs], bias [*member, outputs]; x [*member, …, batch, inputs], of any number of
    axes between. Starts by the initialiser `init`, times `scale` (see `initialise`).
    """

    stacked = True

    def __init__(self, inputs: int, outputs: int, *, init: str = "torch", scale: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs))
        initialise(self.weight, self.bias, init, scale)

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        return dense(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[-1]} -> {self.weight.shape[-2]}"


class FeatureLinear(nn.Module):
    """One dense layer per feature: y[f] = W[f] x[f] + b[f].

    weight [*member, feature, outputs, inputs], bias [*member, feature, outputs]; both U(±1/√inputs).
    x [*member, batch, feature, inputs] -> [*member, batch, feature, outputs].
    """

    stacked = True

    def __init__(self, features: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(features, outputs, inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(features, outputs).uniform_(-bound, bound))

    def forward(
        self, x: Float[Tensor, "*member batch feature inputs"]
    ) -> Float[Tensor, "*member batch feature outputs"]:
        by_feature = torch.matmul(x.transpose(-3, -2), self.weight.mT)
        return by_feature.transpose(-3, -2) + self.bias.unsqueeze(-3)
