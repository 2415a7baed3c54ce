"""Dropout's kin: whole channels, SELU's dropout, whole layers, single weights.

As in Dropout, the rate is the buffer `dropout` (a scalar; stacked: one number per member), the masks are
core.draw_uniform's, and evaluation changes nothing.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tutti import core
from tutti.nn._initialise import initialise
from tutti.nn._linear import dense
from tutti.nn._regularise import spread


def _rate(rate: float) -> Tensor:
    if not 0 <= rate < 1:
        raise core.InputError(f"The dropout rate is {rate}; expected a number in [0, 1).")
    return torch.tensor(float(rate))


def _keep(x: Tensor, rate: Tensor, axes: int) -> Tensor:
    """x · mask / (1 − rate), one draw for each place of the first `axes` axes of x."""
    one_each = x[tuple(slice(None) if axis < axes else slice(1) for axis in range(x.ndim))]
    return x * (core.draw_uniform(one_each) >= rate) / (1 - rate)


class ChannelDropout(nn.Module):
    """In training, zeroes a sample's channel with probability `dropout`, and divides the others by 1 − `dropout`.

    Tompson et al. 2015: neighbouring places of a channel are too alike for dropping them one by one to matter
    (torch.nn.Dropout1d, 2d, 3d). x [*member, batch, channel, *space] with `axes` axes of space.
    """

    stacked = True
    dropout: Tensor

    def __init__(self, rate: float = 0.0, *, axes: int = 2) -> None:
        super().__init__()
        self.axes = axes
        self.register_buffer("dropout", _rate(rate))

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training:
            return x
        return _keep(x, spread(self.dropout, x), x.ndim - self.axes)


class AlphaDropout(nn.Module):
    """Dropout that keeps mean 0 and variance 1 behind SELU (Klambauer et al. 2017).

    In training, values become α' = −λα = −1.7581 (SELU's lower limit) with probability p = `dropout`, and then
    a · x + b with a = ((1 − p)(1 + p α'²))^(−½), b = −a p α'.
    """

    stacked = True
    dropout: Tensor
    limit = -1.7580993408473766

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("dropout", _rate(rate))

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training:
            return x
        p = spread(self.dropout, x)
        a = ((1 - p) * (1 + p * self.limit**2)).rsqrt()
        return a * torch.where(core.draw_uniform(x) >= p, x, self.limit) - a * p * self.limit


class DropPath(nn.Module):
    """Stochastic depth (Huang et al. 2016): in training, zeroes whole samples, else divides them by 1 − p.

    Stands last in the branch of a residual connection, so that a sample skips the branch. p = `dropout` · `share`:
    with share l/L in block l of L the rate grows with depth as in the paper. x [*member, batch, …].
    """

    stacked = True
    dropout: Tensor

    def __init__(self, rate: float = 0.0, *, share: float = 1.0) -> None:
        super().__init__()
        if not 0 <= share <= 1:
            raise core.InputError(f"The share of the dropout rate is {share}; expected a number in [0, 1].")
        self.share = share
        self.register_buffer("dropout", _rate(rate))

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training:
            return x
        return _keep(x, spread(self.dropout * self.share, x), self.dropout.ndim + 1)


class DropConnect(nn.Module):
    """A dense layer y = x Wᵀ + b that in training zeroes each weight with probability p, the others divided by 1 − p.

    Wan et al. 2013, with one mask for the batch (theirs: one per sample) and, in evaluation, the mean weights instead
    of a sampled Gaussian. weight [*member, outputs, inputs], bias [*member, outputs]; x [*member, …, batch, inputs].
    p is the buffer `dropout`. Starts by the initialiser `init`, times `scale`.
    """

    stacked = True
    dropout: Tensor

    def __init__(
        self, inputs: int, outputs: int, rate: float = 0.0, *, init: str = "torch", scale: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs))
        initialise(self.weight, self.bias, init, scale)
        self.register_buffer("dropout", _rate(rate))

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        weight: Tensor = self.weight
        if self.training:
            p = spread(self.dropout, weight)
            weight = weight * (core.draw_uniform(weight) >= p) / (1 - p)
        return dense(x, weight, self.bias)
