"""The graph attention network of Veličković et al. (2018), and its second version (Brody et al. 2022)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._edges import EdgeModel
from tutti.models._nodes import ConvolutionLayers, Encoder, NodeModel
from tutti.models._table import check_choice


@dataclass(frozen=True, kw_only=True)
class Attentions(Encoder):
    """Attention layers of `heads` heads with `features` features each, joined; the last averages `last_heads`.

    The defaults are the paper's for Cora: one hidden layer of 8 heads × 8, ELU. second: the attention of GATv2.
    dropout: whether there is dropout on the features, on every hidden layer and on the attention (its rate is the
    setting's: 0.6 in the paper). edge_dropout: whether edges are lost in training too, at the same rate.
    """

    name: ClassVar[str] = "gat"

    layers: int = 2
    heads: int = 8
    features: int = 8
    last_heads: int = 1
    activation: str = "elu"
    dropout: bool = True
    edge_dropout: bool = False
    second: bool = False

    def __post_init__(self) -> None:
        check_choice("activation", [self.activation], list(nn.ACTIVATIONS))
        for name in ("layers", "heads", "features", "last_heads"):
            if getattr(self, name) < 1:
                raise core.InputError(f"{name} is {getattr(self, name)}; expected at least 1.")

    def encoder(self, features: int, along: int, outputs: int) -> ConvolutionLayers:
        """Attention layers; see Encoder."""
        kind = nn.GATv2 if self.second else nn.GAT
        rate = 0.0 if self.dropout else None
        layers: list[torch_nn.Module] = []
        width = features
        for _ in range(self.layers - 1):
            layers.append(kind(width, self.features, heads=self.heads, dropout=rate))
            width = self.heads * self.features
        layers.append(kind(width, outputs, heads=self.last_heads, join=False, dropout=rate))
        return ConvolutionLayers(layers, self.activation, dropout=self.dropout, edge_dropout=self.edge_dropout)


@dataclass(frozen=True, kw_only=True)
class GAT(NodeModel, Attentions):
    """Attention layers for nodes. Options: see Attentions."""


@dataclass(frozen=True, kw_only=True)
class EdgeGAT(EdgeModel, Attentions):
    """Attention layers for edges: `width` of each node's state, then both ends. Options: see Attentions."""
