"""Graph attention: each node weighs what arrives by a softmax over its edges, in several heads.

Axes as in _graph_convolution; inside, a head is one more copy of the graph: [*member, head, node, feature].
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tutti import core
from tutti.nn._edges import SOURCE, TARGET, Edges
from tutti.nn._graph_convolution import Links, Nodes, add_bias, as_edges, project, projection
from tutti.nn._messages import edge_softmax, for_members, gather, propagate
from tutti.nn._regularise import Dropout


def _attention(heads: int, features: int) -> nn.Parameter:
    """[head, feature] from U(±√(6/(heads + features)))."""
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(heads, features)))


class _Attention(nn.Module):
    """What both attentions share: loops, softmax, dropout of its weights, the weighted sum, the heads' end."""

    def __init__(
        self, outputs: int, heads: int, *, join: bool, loops: bool, slope: float, dropout: float | None
    ) -> None:
        super().__init__()
        if heads < 1 or outputs < 1:
            raise core.InputError(f"{heads} heads of {outputs} features.", fix="Use at least one of each.")
        self.heads = heads
        self.join = join
        self.loops = loops
        self.slope = slope
        self.bias = nn.Parameter(torch.zeros(heads * outputs if join else outputs))
        self.drop = None if dropout is None else Dropout(dropout)

    def _edges(
        self, x: Nodes, links: Links, weight: Float[Tensor, "*some edge"] | None
    ) -> tuple[Edges, Float[Tensor, "*some looped"] | None]:
        """The edges over which to attend, and their weights; None is 1."""
        edges = as_edges(links, x)
        if not self.loops:
            return edges, weight
        looped = edges.looped
        if weight is not None:
            return looped.edges, looped.carry(weight)
        if looped.alive is None:
            return looped.edges, None
        alive = looped.alive.to(self.bias.dtype)
        return looped.edges, alive if self.bias.ndim == 1 else for_members(alive, edges, self.bias.shape[0])

    def _split(self, x: Float[Tensor, "*member node joined"], edges: Edges) -> Float[Tensor, "*lead node feature"]:
        """[*member, head, node, feature]; where members have graphs of their own [head, member, node, feature]."""
        apart = rearrange(x, "... node (head feature) -> ... head node feature", head=self.heads)
        return apart if edges.members is None else apart.transpose(0, 1)

    def _by_head(
        self, x: Float[Tensor, "*member head feature column"], edges: Edges
    ) -> Float[Tensor, "*lead feature column"]:
        """A parameter of each head, to stand beside what `_split` gives."""
        if edges.members is None:
            return x
        return x.transpose(0, 1) if x.ndim == 4 else x.unsqueeze(1)

    def _attend(
        self,
        x: Float[Tensor, "*lead node feature"],
        scores: Float[Tensor, "*lead edge"],
        edges: Edges,
        weight: Float[Tensor, "*some edge"] | None,
    ) -> Float[Tensor, "*member node outputs"]:
        own = edges.members is not None
        if weight is not None and weight.ndim > 1 and not own:
            weight = weight.unsqueeze(-2)  # the same in every head
        shares = edge_softmax(scores, edges, weight)
        if self.drop is not None:
            shares = self.drop(shares.transpose(0, 1)).transpose(0, 1) if own else self.drop(shares)
        summed = propagate(x, edges, shares)
        if own:
            summed = summed.transpose(0, 1)
        if self.join:
            return add_bias(rearrange(summed, "... head node feature -> ... node (head feature)"), self.bias)
        return add_bias(summed.mean(-3), self.bias)


class GAT(_Attention):
    """y[t] = b + Σ α x[s] W over the edges from s to t, α the softmax of LeakyReLU(u · x[s]W + v · x[t]W) over them.

    Veličković et al. 2018, eq. 1–6. Each of `heads` heads has its own W, u, v; their results are joined, or, without
    `join`, averaged (eq. 6). loops: every node has one loop (one that the edges hold gives way). slope: of the leaky
    ReLU. dropout: None for none, or the probability that a share α is lost in training (the others are divided by
    1 − dropout); the engine fills it. Edge weights multiply exp of the score: 0 takes the edge away.
    weight [*member, inputs, heads · outputs], source u and target v [*member, heads, outputs], Glorot; bias 0.
    """

    stacked = True

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        heads: int = 1,
        join: bool = True,
        loops: bool = True,
        slope: float = 0.2,
        dropout: float | None = None,
    ) -> None:
        super().__init__(outputs, heads, join=join, loops=loops, slope=slope, dropout=dropout)
        self.weight = projection(inputs, heads * outputs)
        self.source = _attention(heads, outputs)
        self.target = _attention(heads, outputs)

    def forward(
        self, x: Nodes, edges: Links, weight: Float[Tensor, "*some edge"] | None = None
    ) -> Float[Tensor, "*member node outputs"]:
        edges, weight = self._edges(x, edges, weight)
        h = self._split(project(x, self.weight), edges)
        parts = torch.matmul(h, self._by_head(torch.stack((self.source, self.target), -1), edges))
        scores = gather(parts[..., :1], edges, SOURCE) + gather(parts[..., 1:], edges, TARGET)
        return self._attend(h, functional.leaky_relu(scores.squeeze(-1), self.slope), edges, weight)


class GATv2(_Attention):
    """As GAT, with α the softmax of u · LeakyReLU(x[s] S + x[t] T), and y[t] = b + Σ α x[s] S (Brody et al. 2022).

    Targets may then rank the same neighbours differently. S and T have biases, as in the authors' code.
    weight_source S, weight_target T [*member, inputs, heads · outputs], their biases bias_source, bias_target
    [*member, heads · outputs] (0), attention u [*member, heads, outputs], Glorot.
    """

    stacked = True

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        heads: int = 1,
        join: bool = True,
        loops: bool = True,
        slope: float = 0.2,
        dropout: float | None = None,
    ) -> None:
        super().__init__(outputs, heads, join=join, loops=loops, slope=slope, dropout=dropout)
        self.weight_source = projection(inputs, heads * outputs)
        self.weight_target = projection(inputs, heads * outputs)
        self.bias_source = nn.Parameter(torch.zeros(heads * outputs))
        self.bias_target = nn.Parameter(torch.zeros(heads * outputs))
        self.attention = _attention(heads, outputs)

    def forward(
        self, x: Nodes, edges: Links, weight: Float[Tensor, "*some edge"] | None = None
    ) -> Float[Tensor, "*member node outputs"]:
        edges, weight = self._edges(x, edges, weight)
        source = self._split(add_bias(project(x, self.weight_source), self.bias_source), edges)
        target = self._split(add_bias(project(x, self.weight_target), self.bias_target), edges)
        both = functional.leaky_relu(gather(source, edges, SOURCE) + gather(target, edges, TARGET), self.slope)
        scores = torch.matmul(both, self._by_head(self.attention.unsqueeze(-1), edges)).squeeze(-1)
        return self._attend(source, scores, edges, weight)
