"""What networks for many graphs share: padding taken away, input features, layers, readout, output."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._model import Model
from tutti.models._table import check_choice

READOUTS = ("sum", "mean", "max", "attention")


class GraphFeatures(torch_nn.Module):
    """Numbers standardised (missing ones 0), then categories one-hot (a value never seen is no column's).

    centre, scale [*member, number]: fitted on the training graphs' nodes, or edges. codes start at 1; 0 is none.
    """

    stacked: ClassVar[bool] = True

    def __init__(self, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.levels = levels

    def forward(
        self,
        numbers: Float[Tensor, "*some item number"],
        codes: Int[Tensor, "*some item category"] | UInt8[Tensor, "*some item category"],
        centre: Float[Tensor, "*member number"],
        scale: Float[Tensor, "*member number"],
    ) -> Float[Tensor, "*own item feature"]:
        parts = []
        for column, levels in enumerate(self.levels):
            known = torch.arange(1, levels, device=codes.device, dtype=codes.dtype)
            parts.append((codes[..., column, None] == known).to(scale.dtype))
        if numbers.shape[-1]:
            if scale.ndim == 2:  # members share the codes, and scale numbers of their own
                numbers, parts = _tiled(numbers, len(scale)), [_tiled(part, len(scale)) for part in parts]
            parts.insert(0, torch.nan_to_num((numbers - centre.unsqueeze(-2)) / scale.unsqueeze(-2), nan=0.0))
        return torch.cat(parts, -1) if parts else numbers.new_ones(*numbers.shape[:-1], 1)


def _tiled(x: Float[Tensor, "*some item feature"], members: int) -> Float[Tensor, "member item feature"]:
    """What some members share, for all."""
    if x.ndim == 2:
        return x.expand(members, *x.shape)
    return x if x.shape[0] == members else x.repeat(members // x.shape[0], 1, 1)


def width_of(numbers: int, levels: tuple[int, ...]) -> int:
    """Columns that GraphFeatures makes."""
    return max(1, numbers + sum(n - 1 for n in levels))


class GraphLayer(torch_nn.Module):
    """A round of message passing: forward(h, union, along, weight) gives new h [*member, node, width].

    union: nn.Union of the batch. along [*some, edge, given]: features of its edges, or None. weight [*member, edge]:
    of its edges where some are dropped, else None.
    """

    stacked: ClassVar[bool] = True


class GraphNetwork(torch_nn.Module):
    """embed → layers → readout → output, on padded batches: see data.Graphs.inputs.

    numbers [*member, batch, nodes, number], codes [*member, batch, nodes, category], edges [*member, batch, edges, 2]
    (from, to; sorted by target), edge_numbers and edge_codes [*member, batch, edges, …], counts [*member, batch, 2]
    (nodes and edges that are no padding) -> [*member, batch, out].
    The batch becomes one disjoint union of its real nodes and edges: padding costs nothing and changes nothing.
    joined: the output sees the readouts of the embedding and of all layers, else the last layer's alone.
    """

    stacked: ClassVar[bool] = True
    node_centre: Tensor
    node_scale: Tensor
    edge_centre: Tensor
    edge_scale: Tensor

    def __init__(
        self,
        shape: core.GraphShape,
        outputs: int,
        layers: Sequence[GraphLayer],
        *,
        width: int,
        readout: str,
        joined: bool,
        residual: bool,
        dropout: bool,
        edge_dropout: bool,
        uses_edges: bool,
    ) -> None:
        super().__init__()
        for name, numbers in (("node", shape.features), ("edge", shape.edge_features)):
            self.register_buffer(f"{name}_centre", torch.zeros(numbers))
            self.register_buffer(f"{name}_scale", torch.ones(numbers))
        self.node_features = GraphFeatures(shape.levels)
        self.edge_features = GraphFeatures(shape.edge_levels) if uses_edges else None
        self.embed = nn.NodeLinear(width_of(shape.features, shape.levels), width)
        self.layers = torch_nn.ModuleList(layers)
        parts = len(layers) + 1 if joined else 1
        self.readout = nn.Readout(readout, features=width)
        self.hidden = nn.Linear(parts * width, width)
        self.output = nn.Linear(width, outputs)
        self.drop = nn.Dropout() if dropout else None
        self.edge_drop = nn.EdgeDropout() if edge_dropout else None
        self.joined, self.residual = joined, residual

    def forward(
        self,
        numbers: Float[Tensor, "*member batch nodes number"],
        codes: UInt8[Tensor, "*member batch nodes category"],
        edges: Int[Tensor, "*member batch edges 2"],
        edge_numbers: Float[Tensor, "*member batch edges given"],
        edge_codes: UInt8[Tensor, "*member batch edges told"],
        counts: Int[Tensor, "*member batch 2"],
    ) -> Float[Tensor, "*member batch out"]:
        stack = counts.ndim == 3
        period = nn.repeats(numbers, codes, edges, edge_numbers, edge_codes, counts) if stack else 1
        union = nn.union_of(edges, counts, numbers.shape[-2], period)
        x = self.node_features(union.nodes_of(numbers), union.nodes_of(codes), self.node_centre, self.node_scale)
        along = None
        if self.edge_features is not None:
            told = union.edges_of(edge_numbers), union.edges_of(edge_codes)
            along = self.edge_features(*told, self.edge_centre, self.edge_scale)
        h = self.embed(self._for_all(x))
        weight = None if self.edge_drop is None else self.edge_drop(union.edges)
        rows = [self.readout(h, union.graph)] if self.joined else []
        for layer in self.layers:
            new = layer(h, union, along, weight)
            h = h + new if self.residual else new
            if self.drop is not None:
                h = self.drop(h)
            if self.joined:
                rows.append(self.readout(h, union.graph))
        y = torch.cat(rows, -1) if self.joined else self.readout(h, union.graph)
        y = torch.relu(self.hidden(union.graphs_of(y)))
        output: Tensor = self.output(y if self.drop is None else self.drop(y))
        return output

    def _for_all(self, x: Float[Tensor, "*some node feature"]) -> Float[Tensor, "*member node feature"]:
        """Features that members share, given to each; without a member axis one product serves all."""
        bias = self.output.bias
        return _tiled(x, bias.shape[0]) if bias.ndim == 2 and x.ndim == 3 else x


@dataclass(frozen=True, kw_only=True)
class GraphModel(Model):
    """Base of the Configs of networks for many graphs.

    width: of every layer. layers: rounds of message passing. readout: how nodes become one row: "sum", "mean", "max"
    or "attention". joined: the readouts of all layers stand side by side before the output (Xu et al. 2018), else the
    last layer's alone. residual: what a layer gives is added to what it was given. norm: batch normalisation over the
    nodes of the batch. dropout: whether there is dropout after every layer and before the output. edge_dropout:
    whether edges are lost in training, at the same rate (Rong et al. 2020).
    """

    kind: ClassVar[str] = "graphs"

    width: int = 64
    layers: int = 3
    readout: str = "sum"
    joined: bool = True
    residual: bool = False
    norm: bool = True
    dropout: bool = False
    edge_dropout: bool = False

    def __post_init__(self) -> None:
        check_choice("readout", [self.readout], READOUTS)
        for name in ("width", "layers"):
            if getattr(self, name) < 1:
                raise core.InputError(f"{name} is {getattr(self, name)}; expected at least 1.")

    @abstractmethod
    def build(self, shape: core.GraphShape, outputs: int) -> GraphNetwork:
        """The network for graphs of this shape and so many outputs; weights come from torch's generator."""

    def network(
        self, shape: core.GraphShape, outputs: int, layers: Sequence[GraphLayer], *, uses_edges: bool = False
    ) -> GraphNetwork:
        """What surrounds the layers of a family."""
        return GraphNetwork(
            shape,
            outputs,
            layers,
            width=self.width,
            readout=self.readout,
            joined=self.joined,
            residual=self.residual,
            dropout=self.dropout,
            edge_dropout=self.edge_dropout,
            uses_edges=uses_edges and bool(shape.edge_features or shape.edge_levels),
        )


class NormedLayer(GraphLayer):
    """ReLU(norm(convolution)): a layer of GCN, GAT or GraphSAGE; they see no edge features."""

    def __init__(self, convolution: torch_nn.Module, width: int, norm: bool) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm = nn.NodeNorm(width) if norm else None

    def forward(
        self,
        h: Float[Tensor, "*member node width"],
        union: nn.Union,
        along: Float[Tensor, "*some edge given"] | None,
        weight: Float[Tensor, "*member edge"] | None,
    ) -> Float[Tensor, "*member node width"]:
        y: Tensor = self.convolution(h, union.edges, weight)
        if self.norm is not None:
            y = self.norm(y, real_of(union, y))
        return torch.relu(y)


def real_of(union: nn.Union, h: Float[Tensor, "*member node width"]) -> Float[Tensor, "*member node"] | None:
    """Which nodes are no filling, for all members; None where all are."""
    if union.real is None:
        return None
    return union.real.repeat(h.shape[0] // len(union.real), 1)
