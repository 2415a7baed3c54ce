"""Graph convolutions: GCN, GraphSAGE and GIN, on dense or sparse node features; edge dropout.

Nodes [*member, node, feature]. Edges [2, edge] (row 0 source, row 1 target; messages go from source to target) or
[*member, 2, edge], or an `Edges` made of them once. Edge weights [*member, edge], or [edge] for all members.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tutti import core
from tutti.nn._edges import SOURCE, TARGET, Edges, Looped
from tutti.nn._initialise import initialise
from tutti.nn._messages import AGGREGATIONS, aggregate, arrived, gather, propagate, scatter


@dataclass(frozen=True)
class SparseFeatures:
    """Node features most of which are 0: `values` [*member, entry] of the entries, whose edge leads from the
    feature (source) to the node (target) that has it."""

    values: Float[Tensor, "*member entry"]
    entries: Edges

    @classmethod
    def of(cls, dense: Float[Tensor, "node feature"]) -> "SparseFeatures":
        """The entries of a matrix that are not 0, node after node."""
        node, feature = torch.nonzero(dense, as_tuple=True)
        return cls(dense[node, feature], Edges(torch.stack((feature, node)), dense.shape[1], dense.shape[0]))


Nodes = Float[Tensor, "*given node feature"] | SparseFeatures
Links = Edges | Int[Tensor, "*own two edge"]


def as_edges(edges: Links, x: Nodes) -> Edges:
    """Edges between the nodes of x, checked where they come as a list."""
    if isinstance(edges, Edges):
        return edges
    return Edges.of(edges, x.entries.targets if isinstance(x, SparseFeatures) else x.shape[-2])


def project(x: Nodes, weight: Float[Tensor, "*member inputs outputs"]) -> Float[Tensor, "*member node outputs"]:
    """x W; x may lack the member axis. Sparse features sum the rows of W that a node has: no zero is multiplied."""
    if isinstance(x, SparseFeatures):
        return propagate(weight, x.entries, x.values)
    return torch.matmul(x, weight)


def projection(inputs: int, outputs: int) -> nn.Parameter:
    """A weight [inputs, outputs], from U(±√(6/(inputs + outputs))) (Glorot & Bengio 2010)."""
    weight = torch.empty(inputs, outputs)
    initialise(weight.mT, torch.empty(outputs), "glorot_uniform")
    return nn.Parameter(weight)


def add_bias(
    x: Float[Tensor, "*member node outputs"], bias: Float[Tensor, "*member outputs"]
) -> Float[Tensor, "*member node outputs"]:
    return x + bias.unsqueeze(-2)


class GCN(nn.Module):
    """y = D̂^−½ Â D̂^−½ x W + b (Kipf & Welling 2017, eq. 2), Â = A + 1, D̂ the sums of what arrives at each node.

    So y[t] = b + Σ w / √(d[s] d[t]) x[s] W over the edges from s to t and a loop at t. A loop that the edges hold
    keeps its weight in place of the new one of weight 1; d of a node without anything that arrives counts as ∞.
    weight [*member, inputs, outputs], Glorot; bias [*member, outputs], 0.
    """

    stacked = True

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = projection(inputs, outputs)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(
        self, x: Nodes, edges: Links, weight: Float[Tensor, "*some edge"] | None = None
    ) -> Float[Tensor, "*member node outputs"]:
        edges = as_edges(edges, x)
        h = project(x, self.weight)
        value = edges.normalised.to(h.dtype) if weight is None else symmetric(edges.looped, weight.to(h.dtype))
        return add_bias(propagate(h, edges.looped.edges, value), self.bias)


def symmetric(looped: Looped, weight: Float[Tensor, "*some edge"]) -> Float[Tensor, "*some looped"]:
    """w / √(d[s] d[t]) at each edge, and at the loops: the normalisation of a GCN with edge weights."""
    value = looped.carry(weight).unsqueeze(-1)
    degree = scatter(value, looped.edges)
    root = torch.where(degree > 0, 1 / degree.clamp(min=torch.finfo(degree.dtype).tiny).sqrt(), 0.0)
    return (gather(root, looped.edges, SOURCE) * value * gather(root, looped.edges, TARGET)).squeeze(-1)


class SAGE(nn.Module):
    """y = x W + b + a(neighbours) V (GraphSAGE, Hamilton et al. 2017, algorithm 1, without its normalisation).

    a is the mean of x over the edges that arrive (`how`: "mean", "sum", "max"), 0 where none does.
    own W, neighbour V [*member, inputs, outputs], Glorot; bias [*member, outputs], 0.
    """

    stacked = True

    def __init__(self, inputs: int, outputs: int, *, how: str = "mean") -> None:
        super().__init__()
        if how not in AGGREGATIONS:
            raise core.unknown("aggregation", how, AGGREGATIONS)
        self.how = how
        self.own = projection(inputs, outputs)
        self.neighbour = projection(inputs, outputs)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(
        self, x: Nodes, edges: Links, weight: Float[Tensor, "*some edge"] | None = None
    ) -> Float[Tensor, "*member node outputs"]:
        edges = as_edges(edges, x)
        own = add_bias(project(x, self.own), self.bias)
        if self.how == "max":
            if isinstance(x, SparseFeatures):
                raise core.InputError("The largest of sparse features is not defined.", fix="Give them dense.")
            return own + torch.matmul(aggregate(gather(x, edges, SOURCE), edges, "max", weight), self.neighbour)
        summed = propagate(project(x, self.neighbour), edges, weight)
        return own + (summed if self.how == "sum" else summed / arrived(edges, weight, summed))


class GIN(nn.Module):
    """y = network((1 + ε) x + Σ x[s] over the edges that arrive) (Xu et al. 2019, eq. 4.1).

    network: what follows, any module on [*member, node, inputs]; in the paper an MLP. ε starts at `epsilon`; it is
    learnt where `learn` (GIN-ε, a scalar for each member), else it stays (0 is GIN-0).
    """

    stacked = True

    def __init__(self, network: nn.Module, *, epsilon: float = 0.0, learn: bool = False) -> None:
        super().__init__()
        self.network = network
        self.start = epsilon
        self.epsilon = nn.Parameter(torch.tensor(float(epsilon))) if learn else None

    def forward(
        self,
        x: Float[Tensor, "*member node inputs"],
        edges: Links,
        weight: Float[Tensor, "*some edge"] | None = None,
    ) -> Float[Tensor, "*member node outputs"]:
        own = 1 + (self.start if self.epsilon is None else self.epsilon[..., None, None])
        y: Tensor = self.network(own * x + propagate(x, as_edges(edges, x), weight))
        return y


class EdgeDropout(nn.Module):
    """Weights of edges of which, in training, each is set to 0 with probability `dropout` (DropEdge, Rong et al.
    2020). The others keep theirs: a mean, a softmax and GCN's normalisation see the graph without the lost edges.

    Each direction of an edge is drawn on its own. The masks are core.draw_uniform's; `dropout` is the member's.
    Edges and weights [*some, edge] (None: 1) -> [*member, edge]; in evaluation, the weights as they came.
    """

    stacked = True
    dropout: Tensor

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("dropout", torch.tensor(float(rate)))

    def forward(
        self, edges: Edges, weight: Float[Tensor, "*some edge"] | None = None
    ) -> Float[Tensor, "*member edge"] | None:
        if not self.training:
            return weight
        if weight is None:
            weight = self.dropout.new_ones(edges.count)
        weight = weight.expand(*self.dropout.shape, edges.count)
        return weight * (core.draw_uniform(weight) >= self.dropout.unsqueeze(-1))
