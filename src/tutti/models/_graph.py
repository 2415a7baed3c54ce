"""What networks for the nodes of one graph share: the graph as constants, and the rows that are asked for."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn


@dataclass(frozen=True)
class NodeGraph:
    """One graph whose nodes are the rows of a problem.

    features: dense [node, feature], or nn.SparseFeatures where most are 0. edges [2, edge], each from row 0 to row 1;
    both directions stand in an undirected graph.
    """

    features: Float[Tensor, "node feature"] | nn.SparseFeatures
    edges: Int[Tensor, "two edge"]

    @property
    def nodes(self) -> int:
        x = self.features
        return x.entries.targets if isinstance(x, nn.SparseFeatures) else x.shape[0]

    @property
    def inputs(self) -> int:
        """Features of a node."""
        x = self.features
        return x.entries.sources if isinstance(x, nn.SparseFeatures) else x.shape[1]


class NodeNetwork(torch_nn.Module):
    """layers(features, edges), read at the nodes that are asked for: node [*member, batch] -> [*member, batch, out].

    Every call computes all nodes. The graph's tensors are constants that all members share; `layers` takes the
    features without a member axis and gives [*member, node, out].
    """

    stacked: ClassVar[bool] = True
    constants: ClassVar[tuple[str, ...]] = ("edges", "features", "entries")
    edges: Tensor
    features: Tensor
    entries: Tensor | None

    def __init__(self, graph: NodeGraph, layers: torch_nn.Module) -> None:
        super().__init__()
        checked = nn.Edges.of(graph.edges, graph.nodes).index
        self.register_buffer("edges", checked[:, torch.argsort(checked[1], stable=True)])
        x = graph.features
        values, entries = (x.values, x.entries.index) if isinstance(x, nn.SparseFeatures) else (x, None)
        self.register_buffer("features", values)
        self.register_buffer("entries", entries)
        self.layers = layers
        self._nodes, self._inputs = graph.nodes, graph.inputs
        self._made: dict[str, nn.Edges] = {}

    def _kept(self, name: str, index: Tensor, sources: int) -> nn.Edges:
        """Edges of a buffer: made once, and again where the buffer is another (moved to a device)."""
        if name not in self._made or self._made[name].index is not index:
            self._made[name] = nn.Edges(index, sources, self._nodes)
        return self._made[name]

    def forward(self, node: Int[Tensor, "*member batch"]) -> Float[Tensor, "*member batch out"]:
        x: Tensor | nn.SparseFeatures = self.features
        if self.entries is not None:
            x = nn.SparseFeatures(self.features, self._kept("entries", self.entries, self._inputs))
        output = self.layers(x, self._kept("edges", self.edges, self._nodes))
        return torch.take_along_dim(output, node.unsqueeze(-1), dim=-2)


def drop(layer: nn.Dropout | None, x: Tensor | nn.SparseFeatures) -> Tensor | nn.SparseFeatures:
    """Dropout of node features, also of those that all members share: each member has masks of its own. Of sparse
    features only the entries are drawn for: a zero stays zero anyway."""
    if layer is None or not layer.training:
        return x
    member = layer.dropout.shape
    if isinstance(x, nn.SparseFeatures):
        return nn.SparseFeatures(layer(x.values.expand(*member, -1)), x.entries)
    result: Tensor = layer(x if x.ndim == 2 + len(member) else x.expand(*member, -1, -1))
    return result


class GraphModel(core.Config, ABC):
    """A Config of a network for the nodes of one graph."""

    @abstractmethod
    def build(self, graph: NodeGraph, outputs: int) -> NodeNetwork:
        """The network for this graph and so many outputs; weights come from torch's generator."""
