"""The graph attention network of Veličković et al. (2018), and its second version (Brody et al. 2022)."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._graph import GraphModel, NodeGraph, NodeNetwork, drop
from tutti.models._table import check_choice


class GATLayers(torch_nn.Module):
    """Attention layers with an activation after each but the last, dropout before each and on the attention."""

    stacked: ClassVar[bool] = True

    def __init__(self, layers: torch_nn.ModuleList, activation: str, dropout: bool) -> None:
        super().__init__()
        self.attentions = layers
        self.activation = nn.activation(activation)
        self.drop = nn.Dropout() if dropout else None

    def forward(self, x: Tensor | nn.SparseFeatures, edges: nn.Edges) -> Float[Tensor, "*member node out"]:
        first, *others = self.attentions
        h: Tensor = first(drop(self.drop, x), edges)
        for attention in others:
            h = attention(drop(self.drop, self.activation(h)), edges)
        return h


@dataclass(frozen=True, kw_only=True)
class GAT(GraphModel):
    """Attention layers of `heads` heads with `features` features each, joined; the last averages `last_heads`.

    The defaults are the paper's for Cora: one hidden layer of 8 heads × 8, ELU. second: the attention of GATv2.
    dropout: whether there is dropout on the features, on every hidden layer and on the attention (its rate is the
    setting's: 0.6 in the paper).
    """

    name: ClassVar[str] = "gat"

    layers: int = 2
    heads: int = 8
    features: int = 8
    last_heads: int = 1
    activation: str = "elu"
    dropout: bool = True
    second: bool = False

    def __post_init__(self) -> None:
        check_choice("activation", [self.activation], list(nn.ACTIVATIONS))
        for name in ("layers", "heads", "features", "last_heads"):
            if getattr(self, name) < 1:
                raise core.InputError(f"{name} is {getattr(self, name)}; expected at least 1.")

    def build(self, graph: NodeGraph, outputs: int) -> NodeNetwork:
        """The network for this graph and so many outputs."""
        kind = nn.GATv2 if self.second else nn.GAT
        rate = 0.0 if self.dropout else None
        width, layers = graph.inputs, torch_nn.ModuleList()
        for _ in range(self.layers - 1):
            layers.append(kind(width, self.features, heads=self.heads, dropout=rate))
            width = self.heads * self.features
        layers.append(kind(width, outputs, heads=self.last_heads, join=False, dropout=rate))
        return NodeNetwork(graph, GATLayers(layers, self.activation, self.dropout))
