"""Weight-shared ensembles (TabM): k replicas inside one network, an axis `replica` before `batch`."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tutti.nn._initialise import initialise
from tutti.nn._linear import dense


class Replicate(nn.Module):
    """x [*member, batch, inputs] -> r ⊙ x for each of k replicas: [*member, replica, batch, inputs].

    adapter r [*member, replica, inputs] starts as random signs ±1, or N(0, 1) with `normal`. `chunks` says how many
    neighbouring inputs stem from the same feature and so share their start (TabM, Gorishniy et al. 2024, 3.4).
    """

    stacked = True

    def __init__(self, replicas: int, chunks: list[int], *, normal: bool = False) -> None:
        super().__init__()
        start = torch.randn(replicas, len(chunks))
        if not normal:
            start = torch.where(start >= 0, 1.0, -1.0)
        self.adapter = nn.Parameter(start.repeat_interleave(torch.tensor(chunks, dtype=torch.int64), dim=1))

    def forward(self, x: Float[Tensor, "*member batch inputs"]) -> Float[Tensor, "*member replica batch inputs"]:
        return x.unsqueeze(-3) * self.adapter.unsqueeze(-2)


class EnsembleLinear(nn.Module):
    """BatchEnsemble (Wen et al. 2020): y_k = s_k ⊙ W(r_k ⊙ x_k) + b_k with one W for all replicas.

    weight [*member, outputs, inputs]; r [*member, replica, inputs] and s [*member, replica, outputs] start at 1,
    biases [*member, replica, outputs] start equal in all replicas. Without `adapt` there is no r (the layer after
    Replicate). x [*member, replica, batch, inputs].
    """

    stacked = True

    def __init__(
        self, inputs: int, outputs: int, replicas: int, *, adapt: bool = True, init: str = "torch", scale: float = 1.0
    ) -> None:
        super().__init__()
        weight, bias = torch.empty(outputs, inputs), torch.empty(outputs)
        initialise(weight, bias, init, scale)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias.repeat(replicas, 1))
        self.r = nn.Parameter(torch.ones(replicas, inputs)) if adapt else None
        self.s = nn.Parameter(torch.ones(replicas, outputs))

    def forward(
        self, x: Float[Tensor, "*member replica batch inputs"]
    ) -> Float[Tensor, "*member replica batch outputs"]:
        if self.r is not None:
            x = x * self.r.unsqueeze(-2)
        return torch.addcmul(self.bias.unsqueeze(-2), dense(x, self.weight), self.s.unsqueeze(-2))


class ReplicaLinear(nn.Module):
    """A dense layer of its own for every replica: y_k = x_k W_kᵀ + b_k; the heads of the ensemble.

    weight [*member, replica, outputs, inputs], bias [*member, replica, outputs], each started independently.
    x [*member, replica, batch, inputs].
    """

    stacked = True

    def __init__(self, inputs: int, outputs: int, replicas: int, *, init: str = "torch", scale: float = 1.0) -> None:
        super().__init__()
        weight, bias = torch.empty(replicas, outputs, inputs), torch.empty(replicas, outputs)
        for w, b in zip(weight, bias, strict=True):
            initialise(w, b, init, scale)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    def forward(
        self, x: Float[Tensor, "*member replica batch inputs"]
    ) -> Float[Tensor, "*member replica batch outputs"]:
        return torch.matmul(x, self.weight.mT) + self.bias.unsqueeze(-2)
