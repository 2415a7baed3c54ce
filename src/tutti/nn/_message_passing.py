"""Message passing with edge features and a gated update of the nodes."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tutti import core
from tutti.nn._edges import SOURCE
from tutti.nn._graph_convolution import Links, add_bias, as_edges, projection
from tutti.nn._linear import Linear
from tutti.nn._messages import gather, scatter


class MessagePassing(nn.Module):
    """T times h[t] ← GRU(h[t], Σ m over the edges that arrive), m = ReLU(h[s] V + f U + b) from source s.

    f are the edge's features (none: that term is missing). The weights are the same at every step (gated graph
    networks, Li et al. 2016; Gilmer et al. 2017); sums run over neighbours only, so a node's own state enters by the
    update alone. The update is torch.nn.GRUCell's with input m and state h. Edge weights multiply messages.
    message V [*member, features, features], from_edge U [*member, edge_features, features], Glorot; bias b 0;
    gates_input, gates_state: Linear to 3 · features (reset, update, new), U(±1/√features).
    h [*member, node, features]; edge features [edge, edge_features] for all members or with a leading axis.
    """

    stacked = True

    def __init__(self, features: int, *, edge_features: int = 0, steps: int = 3) -> None:
        super().__init__()
        if steps < 1:
            raise core.InputError(f"{steps} steps of message passing; expected at least 1.")
        self.steps = steps
        self.message = projection(features, features)
        self.from_edge = projection(edge_features, features) if edge_features else None
        self.bias = nn.Parameter(torch.zeros(features))
        self.gates_input = Linear(features, 3 * features)
        self.gates_state = Linear(features, 3 * features)

    def forward(
        self,
        h: Float[Tensor, "*member node feature"],
        edges: Links,
        features: Float[Tensor, "*some edge given"] | None = None,
        weight: Float[Tensor, "*own edge"] | None = None,
    ) -> Float[Tensor, "*member node feature"]:
        edges = as_edges(edges, h)
        if (features is None) != (self.from_edge is None):
            has, given = ("no", "some") if self.from_edge is None else ("some", "no")
            raise core.InputError(f"The layer was built for {has} edge features and is given {given}.")
        along = None if features is None or self.from_edge is None else torch.matmul(features, self.from_edge)
        for _ in range(self.steps):
            sent = gather(add_bias(torch.matmul(h, self.message), self.bias), edges, SOURCE)
            sent = torch.relu(sent if along is None else sent + along)
            arrived = scatter(sent if weight is None else sent * weight.unsqueeze(-1), edges)
            h = self._update(h, arrived)
        return h

    def _update(
        self, h: Float[Tensor, "*member node feature"], message: Float[Tensor, "*member node feature"]
    ) -> Float[Tensor, "*member node feature"]:
        reset, update, new = self.gates_input(message).chunk(3, -1)
        old_reset, old_update, old_new = self.gates_state(h).chunk(3, -1)
        new = torch.tanh(new + _sigmoid(reset + old_reset) * old_new)
        kept = _sigmoid(update + old_update)
        return torch.lerp(new.to(h.dtype), h, kept.to(h.dtype))  # under autocast their types may differ


def _sigmoid(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """(1 + tanh(x/2)) / 2. torch.sigmoid rounds the last few numbers of a CPU tensor, and of each thread's part, in
    another way than the rest: a member would depend on how many others there are."""
    return torch.tanh(x / 2).add(1).div(2)
