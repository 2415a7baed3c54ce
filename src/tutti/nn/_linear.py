"""Dense layers, written once for one network and for a stack of them.

In the stacked form every parameter and every input carries one leading axis `member`.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tutti.nn._initialise import initialise


def dense(
    x: Float[Tensor, "*batch inputs"],
    weight: Float[Tensor, "*member outputs inputs"],
    bias: Float[Tensor, "*member outputs"],
) -> Float[Tensor, "*batch outputs"]:
    """x Wᵀ + b, for one network or, where the weight has three axes, for a stack."""
    if weight.ndim == 2:
        return functional.linear(x, weight, bias)
    if x.ndim == 3:  # the batch last in memory: what MKL multiplies fastest, forward and backward
        return torch.baddbmm(bias.unsqueeze(2), weight, x.mT).mT
    flat = torch.baddbmm(bias.unsqueeze(1), x.flatten(1, -2), weight.mT)
    return flat.view(*x.shape[:-1], weight.shape[1])


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
