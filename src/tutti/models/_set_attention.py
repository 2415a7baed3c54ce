"""Attention pooling: the network says which items of a set it looks at."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._sets import ItemLayers, SetModel, SetNetwork
from tutti.models._table import check_layers


class AttendedItems(torch_nn.Module):
    """Items through `layers`, then their mean weighted by attention."""

    stacked: ClassVar[bool] = True

    def __init__(self, layers: ItemLayers, pool: nn.AttentionPool) -> None:
        super().__init__()
        self.layers = layers
        self.pool = pool

    def forward(
        self, x: Float[Tensor, "*member batch item feature"], present: Bool[Tensor, "*member batch item"]
    ) -> Float[Tensor, "*member batch width"]:
        pooled: Tensor = self.pool(self.layers(x, present), present)
        return pooled


class AttentionNetwork(SetNetwork):
    """A SetNetwork that tells which items it looks at."""

    @torch.no_grad()
    def attention(
        self, items: Num[Tensor, "batch item feature"], counts: Int[Tensor, " batch"], *, rescale: bool = True
    ) -> Float[Tensor, "batch item"]:
        """The weight of each item, of all of them; 0 at padding.

        Each set's weights sum to 1; rescaled they run from 0 to 1: a' = (a − min) / (max − min) (Ilse et al. 2018,
        figure 5). Where all are equal a' = 0.
        """
        features, _ = self.enter(items, counts)
        present = nn.present_items(counts, items.shape[-2])
        encode: AttendedItems = self.encode  # type: ignore[assignment]  # what SetAttention.build gave it
        weights = encode.pool.weights(encode.layers(features, present), present)
        return nn.rescaled(weights, present) if rescale else weights


@dataclass(frozen=True, kw_only=True)
class SetAttention(SetModel):
    """Multiple-instance learning by attention (Ilse et al. 2018): `hidden` layers for each item, Σₖ aₖ hₖ, `head`.

    a = softmaxₖ(wᵀ (tanh(V hₖ) ⊙ σ(U hₖ))), V and U with `attention` units; not `gated`: without σ(U hₖ). The
    network's method `attention` gives the weights of new sets, rescaled to a map from 0 to 1.
    """

    name: ClassVar[str] = "attention"

    hidden: tuple[int, ...] = (64, 128)
    attention: int = 64
    gated: bool = True
    equivariant: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_layers((*self.hidden, self.attention))

    def build(self, shape: core.SetShape, outputs: int) -> AttentionNetwork:
        """The network for sets of `shape` and so many outputs."""
        layers = ItemLayers(shape.features, self.hidden, equivariant=self.equivariant)
        width = self.hidden[-1] if self.hidden else shape.features
        pool = nn.AttentionPool(width, self.attention, gated=self.gated)
        made = self._network(shape, AttendedItems(layers, pool), width, outputs)
        return AttentionNetwork(made.subset, made.enter, made.encode, made.judge)
