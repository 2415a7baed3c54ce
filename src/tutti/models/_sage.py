"""GraphSAGE (Hamilton et al. 2017) for the nodes of one graph, all neighbours at once."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from tutti import core, nn
from tutti.models._nodes import ConvolutionLayers, NodeModel, NodeNetwork
from tutti.models._table import check_choice, check_layers


@dataclass(frozen=True, kw_only=True)
class SAGE(NodeModel):
    """GraphSAGE layers through `hidden` widths: a node's own features and the mean of its neighbours' beside them.

    how: what stands for the neighbours, "mean", "sum" or "max" (of dense features only). dropout, edge_dropout: as
    GCN's.
    """

    name: ClassVar[str] = "sage"

    hidden: tuple[int, ...] = (64,)
    how: str = "mean"
    activation: str = "relu"
    dropout: bool = True
    edge_dropout: bool = False

    def __post_init__(self) -> None:
        check_layers(self.hidden)
        check_choice("activation", [self.activation], list(nn.ACTIVATIONS))
        check_choice("aggregation", [self.how], ["mean", "sum", "max"])

    def build(self, shape: core.NodeShape, outputs: int) -> NodeNetwork:
        """The network for nodes of this shape and so many outputs."""
        widths = (shape.features, *self.hidden, outputs)
        layers = [nn.SAGE(a, b, how=self.how) for a, b in pairwise(widths)]
        chain = ConvolutionLayers(list(layers), self.activation, dropout=self.dropout, edge_dropout=self.edge_dropout)
        return NodeNetwork(chain, shape.features)
