"""Numbers in: layers without parameters that bring raw numeric features onto a common scale.

Each holds statistics of the training rows as buffers (data.fit_front computes them), takes raw numbers
[*member, batch, number] in which NaN or ±∞ means missing, and replaces those by the training centre `fill` first.
Buffers carry the leading axis `member` in the stacked form. Before they are fitted, layers leave numbers as they are.
"""

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tutti import core

ScalingName = Literal["none", "standard", "minmax", "symmetric", "robust", "quantile", "whiten"]
SCALINGS: tuple[str, ...] = get_args(ScalingName)


def filled(x: Float[Tensor, "*member batch number"], fill: Float[Tensor, "*member number"]) -> Tensor:
    """x with every value that is not finite replaced by its feature's `fill`."""
    return torch.where(torch.isfinite(x), x, fill.unsqueeze(-2))


class Affine(nn.Module):
    """y = (x − centre) · scale, and with `clip` c smoothly bounded: y / √(1 + (y/c)²), in (−c, c).

    What centre and scale are is the `kind`'s matter (see data.fit_front):
    "none" 0 and 1; "standard" mean and 1/sd; "minmax" onto [0, 1]; "symmetric" onto [−1, 1];
    "robust" median and 1/(q₇₅ − q₂₅), with c = 3 (Holzmüller et al. 2024, RealMLP).
    Buffers centre, scale, fill: [*member, number]. A feature that is constant in the training rows has scale 0.
    """

    stacked = True
    centre: Tensor
    scale: Tensor
    fill: Tensor

    def __init__(self, numbers: int, kind: str = "standard") -> None:
        super().__init__()
        self.features = numbers
        self.kind = kind
        self.clip = 3.0 if kind == "robust" else None
        self.register_buffer("centre", torch.zeros(numbers))
        self.register_buffer("scale", torch.ones(numbers))
        self.register_buffer("fill", torch.zeros(numbers))

    def forward(self, x: Float[Tensor, "*member batch number"]) -> Float[Tensor, "*member batch number"]:
        y = (filled(x, self.fill) - self.centre.unsqueeze(-2)) * self.scale.unsqueeze(-2)
        return y if self.clip is None else y / torch.sqrt(1 + (y / self.clip).square())


class QuantileNormal(nn.Module):
    """Onto a standard normal distribution: linear between `knots` training quantiles, constant beyond them.

    z(x) = value[i] + slope[i] · (x − knot[i]) for the last knot[i] ≤ x. Buffers knot, value, slope:
    [*member, number, knots], rising knots padded with +∞; fill [*member, number].
    """

    stacked = True
    knot: Tensor
    value: Tensor
    slope: Tensor
    fill: Tensor

    def __init__(self, numbers: int, knots: int = 256) -> None:
        super().__init__()
        self.features = numbers
        grid = torch.linspace(-3, 3, knots).expand(numbers, -1)
        slope = torch.ones(numbers, knots)
        slope[:, -1] = 0
        self.register_buffer("knot", grid.clone())
        self.register_buffer("value", grid.clone())
        self.register_buffer("slope", slope)
        self.register_buffer("fill", torch.zeros(numbers))

    def forward(self, x: Float[Tensor, "*member batch number"]) -> Float[Tensor, "*member batch number"]:
        columns = filled(x, self.fill).mT.contiguous()
        index = (torch.searchsorted(self.knot, columns, right=True) - 1).clamp(min=0)
        away = (columns - self.knot.gather(-1, index)).clamp(min=0)
        return torch.addcmul(self.value.gather(-1, index), self.slope.gather(-1, index), away).mT


class Whiten(nn.Module):
    """y = (x − centre) · matrix: mean 0, sd 1 and no correlation between the training rows' features.

    matrix [*member, number, number] = D^(−½) R^(−½), D the variances and R the correlations (ZCA-cor, Kessy et al.
    2018): of all whitenings the one that stays closest to the standardised features. centre, fill [*member, number].
    """

    stacked = True
    centre: Tensor
    matrix: Tensor
    fill: Tensor

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.features = numbers
        self.register_buffer("centre", torch.zeros(numbers))
        self.register_buffer("matrix", torch.eye(numbers))
        self.register_buffer("fill", torch.zeros(numbers))

    def forward(self, x: Float[Tensor, "*member batch number"]) -> Float[Tensor, "*member batch number"]:
        return torch.matmul(filled(x, self.fill) - self.centre.unsqueeze(-2), self.matrix)


class PiecewiseLinear(nn.Module):
    """Piecewise-linear encoding (Gorishniy et al. 2022, eq. 1): each number becomes `bins` numbers.

    With edges b₀ < … < b_T (training quantiles): e_t = (x − b_{t−1}) / (b_t − b_{t−1}), kept in [0, 1], except that
    the first has no lower and the last no upper bound. Where we differ: outside [b₀, b_T] the line goes on for
    one bin's width at most, so that no outlier dominates. Features with fewer distinct edges are padded with 0.
    Buffers origin, steepness, low, high: [*member, number, bins]; fill [*member, number].
    Result [*member, batch, number · bins], the bins of a feature together.
    """

    stacked = True
    origin: Tensor
    steepness: Tensor
    low: Tensor
    high: Tensor
    fill: Tensor

    def __init__(self, numbers: int, bins: int = 16) -> None:
        super().__init__()
        if bins < 1:
            raise core.InputError(f"{bins} bins; expected at least 1.")
        self.features = numbers * bins
        self.bins = bins
        self.register_buffer("origin", torch.zeros(numbers, bins))
        self.register_buffer("steepness", torch.ones(numbers, bins))
        self.register_buffer("low", torch.full((numbers, bins), -1.0))
        self.register_buffer("high", torch.full((numbers, bins), 2.0))
        self.register_buffer("fill", torch.zeros(numbers))

    def forward(self, x: Float[Tensor, "*member batch number"]) -> Float[Tensor, "*member batch feature"]:
        raw = filled(x, self.fill).unsqueeze(-1)
        line = (raw - self.origin.unsqueeze(-3)) * self.steepness.unsqueeze(-3)
        return torch.clamp(line, self.low.unsqueeze(-3), self.high.unsqueeze(-3)).flatten(-2)


def scaling(name: str, numbers: int) -> Affine | QuantileNormal | Whiten:
    """The scaling layer of that name for so many numeric features; raises InputError with the nearest name."""
    if name not in SCALINGS:
        raise core.unknown("scaling", name, SCALINGS)
    if name == "quantile":
        return QuantileNormal(numbers)
    return Whiten(numbers) if name == "whiten" else Affine(numbers, name)
