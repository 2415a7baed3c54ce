"""Deep Sets: every item through the same layers, pooled, and judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch import nn as torch_nn

from tutti import core
from tutti.models._sets import ItemLayers, SetModel, SetNetwork
from tutti.models._table import check_choice, check_layers

POOLS = ("sum", "mean", "max")


class PooledItems(torch_nn.Module):
    """Items through `layers`, then each of the pools, side by side; an empty set gives 0.

    Places without an item hold the set's first item on the way: no maximum changes, and its share of the mean is 0.
    So nothing as wide as a layer needs a mask.
    """

    stacked: ClassVar[bool] = True

    def __init__(self, layers: ItemLayers, pools: Sequence[str]) -> None:
        super().__init__()
        self.layers = layers
        self.pools = tuple(pools)

    def forward(
        self, x: Float[Tensor, "*member batch item feature"], present: Bool[Tensor, "*member batch item"]
    ) -> Float[Tensor, "*member batch pooled"]:
        real = present.unsqueeze(-1)
        h = self.layers(torch.where(real, x, x[..., :1, :]), present)
        count = present.sum(-1, keepdim=True)
        share = (present / count.clamp(min=1)).to(h.dtype)
        mean = (share.unsqueeze(-2) @ h).squeeze(-2)
        made = {"mean": mean, "sum": mean * count}
        if "max" in self.pools:
            made["max"] = h.max(-2).values.masked_fill(count == 0, 0)
        return torch.cat([made[pool] for pool in self.pools], -1)


@dataclass(frozen=True, kw_only=True)
class DeepSets(SetModel):
    """ρ(pool φ(x)) (Zaheer et al. 2017, theorem 2): φ the layers `hidden` for each item, ρ the layers `head`.

    pools: which of "sum", "mean" and "max" stand side by side. ρ also sees log(1 + size), standardised, so that a
    mean does not hide how many items there are; a sum, which the theorem has, is that of the chosen items.
    equivariant: see ItemLayers. With one pool "max" and no `head` this is PointNet's core (Qi et al. 2017).
    """

    name: ClassVar[str] = "deepsets"

    hidden: tuple[int, ...] = (64, 128)
    pools: tuple[str, ...] = ("mean", "max")
    equivariant: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_layers(self.hidden)
        check_choice("pooling of a set", self.pools, POOLS)
        if not self.pools or not self.hidden:
            raise core.InputError(
                f"Deep Sets with the layers {list(self.hidden)} and the pools {list(self.pools)}.",
                fix="Give at least one layer and one pool.",
            )

    def build(self, shape: core.SetShape, outputs: int) -> SetNetwork:
        """The network for sets of `shape` and so many outputs."""
        layers = ItemLayers(shape.features, self.hidden, equivariant=self.equivariant)
        width = self.hidden[-1] * len(self.pools)
        return self._network(shape, PooledItems(layers, self.pools), width, outputs)
