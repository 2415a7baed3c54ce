"""Learned inputs: category embeddings and periodic embeddings of numbers."""

from collections.abc import Sequence
from math import log2, pi
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from tutti import core
from tutti.nn._linear import FeatureLinear


def embedding_width(levels: int) -> int:
    """The width for a category of so many codes: the power of two nearest to 1.6 · levels^0.56, from 2 to 32.

    The exponent is the rule of thumb of fastai's tabular learner; powers of two let categories share a table.
    """
    exponent = round(log2(1.6 * max(levels, 2) ** 0.56))
    return 1 << min(max(exponent, 1), 5)


class Embedding(nn.Module):
    """Several categories of one width in one table: each code becomes a learned row.

    weight [*member, codes of all categories, width], N(0, 1/width), but 0 for code 0, which no training row holds
    (front remaps) and which therefore stays 0. Buffer offset [*member, category]: where each category begins.
    codes [*member, batch, category] -> [*member, batch, category · width].
    """

    stacked = True
    offset: Tensor

    def __init__(self, levels: Sequence[int], width: int) -> None:
        super().__init__()
        starts = torch.tensor([0, *levels], dtype=torch.int64).cumsum(0)[:-1]
        weight = torch.randn(sum(levels), width) / width**0.5
        weight[starts] = 0
        self.weight = nn.Parameter(weight)
        self.features = len(levels) * width
        self.register_buffer("offset", starts)

    def forward(self, codes: Int[Tensor, "*member batch category"]) -> Float[Tensor, "*member batch feature"]:
        rows = codes + self.offset.unsqueeze(-2)
        weight: Tensor = self.weight
        if weight.ndim == 3:
            member = torch.arange(weight.shape[0], device=rows.device) * weight.shape[1]
            rows = rows + member[:, None, None]
            weight = weight.flatten(0, 1)
        return functional.embedding(rows, weight).flatten(-2)


class Categories(nn.Module):
    """Entity embeddings: categories of equal width share a table; results stand in the order of `groups`.

    `groups` maps each width to the code counts of its categories; codes arrive in that order.
    """

    stacked = True

    def __init__(self, groups: Sequence[tuple[int, Sequence[int]]]) -> None:
        super().__init__()
        self.tables = nn.ModuleList(Embedding(levels, width) for width, levels in groups)
        self.sizes = [len(levels) for _, levels in groups]
        self.features = sum(width * len(levels) for width, levels in groups)

    def forward(self, codes: Int[Tensor, "*member batch category"]) -> Float[Tensor, "*member batch feature"]:
        parts = [table(part) for table, part in zip(self.tables, torch.split(codes, self.sizes, -1), strict=True)]
        return parts[0] if len(parts) == 1 else torch.cat(parts, -1)


class Periodic(nn.Module):
    """Periodic embeddings of numbers, each feature with its own frequencies c ~ N(0, sd²), cut at 3 sd.

    "plr" (Gorishniy et al. 2022): ReLU(W [cos 2πcx, sin 2πcx] + b), `width` values per feature.
    "pbld" (RealMLP, Holzmüller et al. 2024): W cos(2πcx + φ) + b with φ ~ U(−π, π), `width` − 1 values, and x itself.
    x [*member, batch, number] -> [*member, batch, number · width].
    """

    stacked = True

    def __init__(
        self,
        numbers: int,
        *,
        kind: Literal["plr", "pbld"] = "pbld",
        frequencies: int = 16,
        width: int = 4,
        sd: float = 0.1,
    ) -> None:
        super().__init__()
        if width < 2 or frequencies < 1 or not sd > 0:
            raise core.InputError(
                f"A periodic embedding of width {width}, {frequencies} frequencies and sd {sd}.",
                fix="Use a width of at least 2, at least one frequency and an sd above 0.",
            )
        self.features = numbers * width
        self.frequency = nn.Parameter(torch.empty(numbers, frequencies))
        nn.init.trunc_normal_(self.frequency, std=sd, a=-3 * sd, b=3 * sd)
        self.phase = None
        if kind == "pbld":
            self.phase = nn.Parameter(torch.empty(numbers, frequencies).uniform_(-pi, pi))
        self.linear = (
            FeatureLinear(numbers, 2 * frequencies, width)
            if kind == "plr"
            else FeatureLinear(numbers, frequencies, width - 1)
        )

    def forward(self, x: Float[Tensor, "*member batch number"]) -> Float[Tensor, "*member batch feature"]:
        angle = x.unsqueeze(-1) * (2 * pi * self.frequency).unsqueeze(-3)
        if self.phase is None:
            return torch.relu(self.linear(torch.cat((angle.cos(), angle.sin()), -1))).flatten(-2)
        waves = self.linear((angle + self.phase.unsqueeze(-3)).cos())
        return torch.cat((x.unsqueeze(-1), waves), -1).flatten(-2)


class BinLinear(nn.Module):
    """A dense layer per feature on its piecewise-linear encoding, then optionally ReLU ("LR" of the same paper).

    x [*member, batch, number · bins] -> [*member, batch, number · width].
    """

    stacked = True

    def __init__(self, numbers: int, bins: int, width: int) -> None:
        super().__init__()
        self.features = numbers * width
        self.bins = bins
        self.linear = FeatureLinear(numbers, bins, width)

    def forward(self, x: Float[Tensor, "*member batch feature"]) -> Float[Tensor, "*member batch embedded"]:
        by_number = rearrange(x, "... (number bin) -> ... number bin", bin=self.bins)
        return torch.relu(self.linear(by_number)).flatten(-2)
