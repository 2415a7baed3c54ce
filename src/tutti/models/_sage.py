"""GraphSAGE (Hamilton et al. 2017) for the nodes and edges of one graph, from all neighbours or from drawn ones."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from tutti import core, nn
from tutti.models._edges import EdgeModel
from tutti.models._nodes import ConvolutionLayers, Encoder, NodeModel, NodeNetwork, SampledNodeNetwork
from tutti.models._table import check_choice, check_layers


@dataclass(frozen=True, kw_only=True)
class Aggregations(Encoder):
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

    def encoder(self, features: int, along: int, outputs: int) -> ConvolutionLayers:
        """GraphSAGE layers; see Encoder."""
        widths = (features, *self.hidden, outputs)
        layers = [nn.SAGE(a, b, how=self.how) for a, b in pairwise(widths)]
        return ConvolutionLayers(list(layers), self.activation, dropout=self.dropout, edge_dropout=self.edge_dropout)


@dataclass(frozen=True, kw_only=True)
class SAGE(NodeModel, Aggregations):
    """GraphSAGE layers for nodes. Options: see Aggregations.

    sampled: how many neighbours a training step draws for each node, one number per layer from the outputs
    inwards ((25, 10) in the paper); () takes all. Then batches of some hundred nodes train on graphs of any size:
    nn.sample_neighbours.
    """

    sampled: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sampled and (len(self.sampled) != len(self.hidden) + 1 or min(self.sampled) < 1):
            raise core.InputError(
                f"sampled is {list(self.sampled)}; expected a number above 0 for each of "
                f"{len(self.hidden) + 1} layers."
            )
        if self.sampled and self.how == "sum":
            raise core.InputError(
                "A sum over drawn neighbours is smaller than that over all, which judges.", fix='Take how="mean".'
            )

    def build(self, shape: core.NodeShape, outputs: int) -> NodeNetwork:
        """The network for nodes of this shape and so many outputs."""
        if not self.sampled:
            return super().build(shape, outputs)
        return SampledNodeNetwork(self.encoder(shape.features, 0, outputs), shape.features, self.sampled)


@dataclass(frozen=True, kw_only=True)
class EdgeSAGE(EdgeModel, Aggregations):
    """GraphSAGE layers for edges: `width` of each node's state, then both ends. Options: see Aggregations."""
