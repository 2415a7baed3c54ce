"""What networks on one graph share: the graph that they hold, its layers, and how nodes are read from them."""

from abc import abstractmethod
from typing import ClassVar, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._model import Model

Features = Tensor | nn.SparseFeatures
Holder = TypeVar("Holder", bound="GraphHolder")


class GraphHolder(torch_nn.Module):
    """layers(features, edges, along, weight) of a graph that is no part of the weights -> [*member, node, out].

    Every call computes all nodes. `hold` gives the graph, and gives another for prediction on a new one. Its tensors
    are constants that all members share; `layers` takes them without a member axis. along: features of the edges;
    weight: how much each counts; either None. weighs: whether the weights that a graph has are given to the layers.
    """

    stacked: ClassVar[bool] = True
    constants: ClassVar[tuple[str, ...]] = ("edges", "features", "entries", "along", "weight")
    edges: Tensor | None
    features: Tensor | None
    entries: Tensor | None
    along: Tensor | None
    weight: Tensor | None

    def __init__(self, layers: torch_nn.Module, inputs: int, *, weighs: bool = True) -> None:
        super().__init__()
        for name in self.constants:
            self.register_buffer(name, None, persistent=False)
        self.layers = layers
        self.inputs, self.weighs = inputs, weighs
        self._nodes = 0
        self._made: dict[str, nn.Edges] = {}

    def hold(
        self: Holder,
        features: Features,
        edges: nn.Edges | Int[Tensor, "two edge"],
        along: Float[Tensor, "edge given"] | None = None,
        weight: Float[Tensor, " edge"] | None = None,
    ) -> Holder:
        """Takes a graph: features [node, feature], or sparse; edges from row 0 to row 1, both directions of an
        undirected one, sorted by row 1 where features or weights go with them. Gives the network back. Raises
        InputError where an edge points past the nodes, or the nodes have another number of features than the network
        was built for.
        """
        if isinstance(features, nn.SparseFeatures):
            nodes, inputs = features.entries.targets, features.entries.sources
        else:
            nodes, inputs = features.shape
        if inputs != self.inputs:
            raise core.InputError(f"The nodes have {inputs} features; the network was built for {self.inputs}.")
        if not isinstance(edges, nn.Edges):
            checked = nn.Edges.of(edges, nodes).index
            order = torch.argsort(checked[1], stable=True)
            along, weight = (None if said is None else said[order] for said in (along, weight))
            edges = nn.Edges(checked[:, order], nodes, nodes)
        self._nodes, self._made = nodes, {"edges": edges}
        self.edges, self.entries, self.along = edges.index, None, along
        self.weight = weight if self.weighs else None
        if isinstance(features, nn.SparseFeatures):
            self._made["entries"] = features.entries
            self.features, self.entries = features.values, features.entries.index
        else:
            self.features = features
        return self

    def _kept(self, name: str, index: Tensor, sources: int) -> nn.Edges:
        """Edges of a buffer: made once, and again where the buffer is another (moved to a device)."""
        if name not in self._made or self._made[name].index is not index:
            self._made[name] = nn.Edges(index, sources, self._nodes)
        return self._made[name]

    def _graph(self) -> tuple[Features, nn.Edges]:
        """The features and the edges that are held."""
        if self.features is None or self.edges is None:
            raise core.InputError("The network holds no graph.", fix="Give it one: network.hold(features, edges).")
        x: Features = self.features
        if self.entries is not None:
            x = nn.SparseFeatures(self.features, self._kept("entries", self.entries, self.inputs))
        return x, self._kept("edges", self.edges, self._nodes)


class NodeNetwork(GraphHolder):
    """The layers, read at the nodes that are asked for: node [*member, batch] -> [*member, batch, out]."""

    def forward(self, node: Int[Tensor, "*member batch"]) -> Float[Tensor, "*member batch out"]:
        output = self.layers(*self._graph(), self.along, self.weight)
        return torch.take_along_dim(output, node.unsqueeze(-1), dim=-2)


class SampledNodeNetwork(NodeNetwork):
    """A NodeNetwork that in training computes only what a batch needs: its nodes, and the neighbours that are drawn
    for it (nn.sample_neighbours). In evaluation all nodes are computed from all their neighbours.

    A sampled graph is another for every member and step, so members train one after another; their batches cannot be
    divided, as nodes of one batch share neighbours. What is said of edges is not used.
    """

    stacked: ClassVar[bool] = False
    batch_statistics: ClassVar[bool] = True

    def __init__(self, layers: torch_nn.Module, inputs: int, counts: tuple[int, ...]) -> None:
        super().__init__(layers, inputs, weighs=False)
        self.counts = counts

    def hold(
        self: Holder,
        features: Features,
        edges: nn.Edges | Int[Tensor, "two edge"],
        along: Float[Tensor, "edge given"] | None = None,
        weight: Float[Tensor, " edge"] | None = None,
    ) -> Holder:
        """Takes a graph; see GraphHolder."""
        return GraphHolder.hold(self, features, edges)

    def forward(self, node: Int[Tensor, "*member batch"]) -> Float[Tensor, "*member batch out"]:
        if not self.training:
            return super().forward(node)
        features, edges = self._graph()
        kept, drawn = nn.sample_neighbours(edges, node, self.counts)
        output: Tensor = self.layers(nn.take_features(features, kept), drawn)
        return output[torch.searchsorted(kept[: len(torch.unique(node))], node)]


def drop(layer: nn.Dropout | None, x: Features) -> Features:
    """Dropout of node features, also of those that all members share: each member has masks of its own. Of sparse
    features only the entries are drawn for: a zero stays zero anyway."""
    if layer is None or not layer.training:
        return x
    member = layer.dropout.shape
    if isinstance(x, nn.SparseFeatures):
        return nn.SparseFeatures(layer(x.values.expand(*member, -1)), x.entries)
    result: Tensor = layer(x if x.ndim == 2 + len(member) else x.expand(*member, -1, -1))
    return result


class Encoder(Model):
    """A family of layers on one graph, with which networks for its nodes and for its edges are built.

    sees_edges: whether features of edges enter. sees_weights: whether weights of edges do.
    """

    sees_edges: ClassVar[bool] = False
    sees_weights: ClassVar[bool] = True

    @abstractmethod
    def encoder(self, features: int, along: int, outputs: int) -> torch_nn.Module:
        """Layers for so many features of a node and of an edge: forward(features, edges, along, weight) gives
        [*member, node, outputs]. weight [*some, edge] may have a member axis, and then 0 is no edge."""


class NodeModel(Encoder):
    """A Config of a network for the nodes of one graph."""

    kind: ClassVar[str] = "nodes"

    def build(self, shape: core.NodeShape, outputs: int) -> NodeNetwork:
        """The network for nodes of this shape and so many outputs, which is then given a graph to hold; weights come
        from torch's generator."""
        layers = self.encoder(shape.features, shape.edge_features, outputs)
        return NodeNetwork(layers, shape.features, weighs=self.sees_weights)


class ConvolutionLayers(torch_nn.Module):
    """Graph convolutions one after another: edge dropout for all, dropout before each, an activation after each but
    the last."""

    stacked: ClassVar[bool] = True

    def __init__(
        self, convolutions: list[torch_nn.Module], activation: str, *, dropout: bool, edge_dropout: bool
    ) -> None:
        super().__init__()
        self.convolutions = torch_nn.ModuleList(convolutions)
        self.activation = nn.activation(activation)
        self.drop = nn.Dropout() if dropout else None
        self.edge_drop = nn.EdgeDropout() if edge_dropout else None

    def forward(
        self,
        x: Features,
        edges: nn.Edges,
        along: Float[Tensor, "edge given"] | None = None,
        weight: Float[Tensor, "*some edge"] | None = None,
    ) -> Float[Tensor, "*member node out"]:
        weight = weight if self.edge_drop is None else self.edge_drop(edges, weight)
        first, *others = self.convolutions
        h: Tensor = first(drop(self.drop, x), edges, weight)
        for convolution in others:
            h = convolution(drop(self.drop, self.activation(h)), edges, weight)
        return h
