"""Sets: what does not change when items change places. Pooling to one vector, and blocks from sets to sets.

x [*member, batch, item, feature]; `present` [*member, batch, item] is True where an item is real. Padding may hold
anything, NaN too. Laws: permuting the items leaves a pool's output as it is and permutes a block's; items that are
not there change nothing.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tutti import core
from tutti.nn._linear import Linear
from tutti.nn._multihead import MultiHeadAttention
from tutti.nn._normalise import LayerNorm
from tutti.nn._transformer import FeedForward, TransformerBlock


def _cleared(x: Tensor, present: Tensor | None, value: float = 0.0) -> Tensor:
    return x if present is None else x.masked_fill(~present.unsqueeze(-1), value)


class SetPool(nn.Module):
    """Sum, mean or maximum over the items that are there (Deep Sets, Zaheer et al. 2017); an empty set gives 0."""

    stacked = True

    def __init__(self, kind: str = "mean") -> None:
        super().__init__()
        if kind not in ("sum", "mean", "max"):
            raise core.unknown("pooling of a set", kind, ("sum", "mean", "max"))
        self.kind = kind

    def forward(
        self,
        x: Float[Tensor, "*member batch item feature"],
        present: Bool[Tensor, "*member batch item"] | None = None,
    ) -> Float[Tensor, "*member batch feature"]:
        if x.shape[-2] == 0:
            return x.sum(-2)
        if self.kind == "max":
            if present is None:
                return x.amax(-2)
            top = _cleared(x, present, float("-inf")).amax(-2)
            return top.masked_fill(~present.any(-1, keepdim=True), 0)
        total = _cleared(x, present).sum(-2)
        if self.kind == "sum":
            return total
        if present is None:
            return total / x.shape[-2]
        return total / present.sum(-1, keepdim=True).clamp(min=1)

    def extra_repr(self) -> str:
        return self.kind


class AttentionPool(nn.Module):
    """Σₖ aₖ hₖ, a = softmaxₖ(wᵀ tanh(V hₖ)): multiple-instance learning by attention (Ilse et al. 2018, eq. 8).

    gated (their eq. 9): wᵀ (tanh(V hₖ) ⊙ σ(U hₖ)). V, U [hidden, feature] with biases (the paper writes none);
    w without one, as it would cancel. An empty set gives 0. `weights` gives a for looking inside; `rescaled` makes it
    a map for showing.
    """

    stacked = True

    def __init__(self, features: int, hidden: int, *, gated: bool = False) -> None:
        super().__init__()
        self.gated = gated
        self.enter = Linear(features, 2 * hidden if gated else hidden)
        self.score = nn.Parameter(torch.empty(hidden).uniform_(-(hidden**-0.5), hidden**-0.5))

    def weights(
        self,
        x: Float[Tensor, "*member batch item feature"],
        present: Bool[Tensor, "*member batch item"] | None = None,
    ) -> Float[Tensor, "*member batch item"]:
        """a: not negative, of sum 1 over the items that are there and 0 elsewhere (0 everywhere in an empty set)."""
        return self._weights(_cleared(x, present), present)

    def _weights(
        self, x: Float[Tensor, "*member batch item feature"], present: Bool[Tensor, "*member batch item"] | None
    ) -> Float[Tensor, "*member batch item"]:
        h = self.enter(x)
        if self.gated:
            value, gate = h.chunk(2, -1)
            h = torch.tanh(value) * torch.sigmoid(gate)
        else:
            h = torch.tanh(h)
        score = (h @ self.score[..., None, :, None]).squeeze(-1)
        if present is None:
            return score.softmax(-1)
        empty = ~present.any(-1, keepdim=True)
        return score.masked_fill(~(present | empty), float("-inf")).softmax(-1).masked_fill(empty, 0)

    def forward(
        self,
        x: Float[Tensor, "*member batch item feature"],
        present: Bool[Tensor, "*member batch item"] | None = None,
    ) -> Float[Tensor, "*member batch feature"]:
        x = _cleared(x, present)
        return (self._weights(x, present).unsqueeze(-2) @ x).squeeze(-2)


def rescaled(
    a: Float[Tensor, "*batch item"], present: Bool[Tensor, "*batch item"] | None = None
) -> Float[Tensor, "*batch item"]:
    """a' = (a − min) / (max − min) over the items that are there: weights as a map from 0 to 1 (Ilse et al. 2018).

    Where all weights are equal, and where no item is, a' = 0.
    """
    least = a if present is None else a.masked_fill(~present, float("inf"))
    most = a if present is None else a.masked_fill(~present, float("-inf"))
    low, high = least.amin(-1, keepdim=True), most.amax(-1, keepdim=True)
    wide = high > low
    return ((a - low) / (high - low)).masked_fill(~(wide if present is None else wide & present), 0)


class SetBlock(nn.Module):
    """MAB(X, Y) = N(H + M(H)), H = N(X + attention(X, Y, Y)): X looks at the set Y (Lee et al. 2019, eq. 6–7).

    M is a dense layer with ReLU between, `width` hidden units; their code uses one dense layer and ReLU, and adds the
    projected queries in place of X. X [*member, batch, query, width], Y [*member, batch, item, memory_width].
    """

    stacked = True

    def __init__(self, width: int, heads: int, *, memory_width: int | None = None) -> None:
        super().__init__()
        self.attend = MultiHeadAttention(width, heads, memory_width=memory_width or width)
        self.attend_norm = LayerNorm(width)
        self.mlp = FeedForward(width, width, activation="relu")
        self.mlp_norm = LayerNorm(width)

    def forward(
        self,
        x: Float[Tensor, "*member batch query width"],
        memory: Float[Tensor, "*member batch item inputs"],
        present: Bool[Tensor, "*member batch item"] | None = None,
    ) -> Float[Tensor, "*member batch query width"]:
        h = self.attend_norm(x + self.attend(x, _cleared(memory, present), present=present))
        y: Tensor = self.mlp_norm(h + self.mlp(h))
        return y


class SetAttention(nn.Module):
    """SAB(X) = MAB(X, X): every item looks at every item; time grows with the square of their number."""

    stacked = True

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.block = TransformerBlock(width, heads, norm="post", mlp=FeedForward(width, width, activation="relu"))

    def forward(
        self,
        x: Float[Tensor, "*member batch item width"],
        present: Bool[Tensor, "*member batch item"] | None = None,
    ) -> Float[Tensor, "*member batch item width"]:
        y: Tensor = self.block(_cleared(x, present), present=present)
        return y


class _Seeds(nn.Module):
    """Learned items that look at a set. Parameter seeds [*member, seed, width], Glorot uniform."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        if count < 1:
            raise core.InputError(f"{count} learned items look at the set; expected at least 1.")
        self.seeds = nn.Parameter(nn.init.xavier_uniform_(torch.empty(count, width)))

    def spread(self, x: Tensor) -> Tensor:
        """The seeds for each sample of x: [*member, batch, seed, width]."""
        return self.seeds.unsqueeze(-3).expand(*x.shape[:-2], *self.seeds.shape[-2:])


class InducedSetAttention(_Seeds):
    """ISAB(X) = MAB(X, MAB(I, X)), I learned points: time grows with items · points (Lee et al. 2019, eq. 9–10)."""

    stacked = True

    def __init__(self, width: int, heads: int, points: int) -> None:
        super().__init__(width, points)
        self.gather = SetBlock(width, heads)
        self.give = SetBlock(width, heads)

    def forward(
        self,
        x: Float[Tensor, "*member batch item width"],
        present: Bool[Tensor, "*member batch item"] | None = None,
    ) -> Float[Tensor, "*member batch item width"]:
        x = _cleared(x, present)
        y: Tensor = self.give(x, self.gather(self.spread(x), x, present))
        return y


class SeedPool(_Seeds):
    """PMA(X) = MAB(S, M(X)) with `seeds` learned vectors S: multi-head pooling (Lee et al. 2019, eq. 11).

    M is a FeedForward with ReLU and `width` hidden units. Output [*member, batch, seed, width].
    """

    stacked = True

    def __init__(self, width: int, heads: int, seeds: int = 1) -> None:
        super().__init__(width, seeds)
        self.enter = FeedForward(width, width, activation="relu")
        self.gather = SetBlock(width, heads)

    def forward(
        self,
        x: Float[Tensor, "*member batch item width"],
        present: Bool[Tensor, "*member batch item"] | None = None,
    ) -> Float[Tensor, "*member batch seed width"]:
        y: Tensor = self.gather(self.spread(x), self.enter(_cleared(x, present)), present)
        return y
