"""Multi-head attention as a layer: self- and cross-attention, causal, grouped-query, with a cache for generation."""

import torch
from einops import rearrange, repeat
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tutti import core
from tutti.nn._attention import KeyValueCache, attention
from tutti.nn._linear import Linear
from tutti.nn._positions import Rotary
from tutti.nn._regularise import Dropout


def _dense(inputs: int, outputs: int, bound: float) -> Linear:
    """A dense layer with weights U(±bound) and no bias to begin with."""
    layer = Linear(inputs, outputs)
    nn.init.uniform_(layer.weight, -bound, bound)
    nn.init.zeros_(layer.bias)
    return layer


def _padding(
    mask: Bool[Tensor, "..."] | None, present: Bool[Tensor, "*member batch key"] | None
) -> Bool[Tensor, "..."] | None:
    """Both masks as one that broadcasts to [*member, batch, head, query, key]."""
    if mask is not None and mask.ndim > 2:
        mask = mask.unsqueeze(-3)
    if present is None:
        return mask
    real = present.unsqueeze(-2).unsqueeze(-2)
    return real if mask is None else mask & real


class MultiHeadAttention(nn.Module):
    """`heads` attentions side by side on projections of x, joined by a dense layer (Vaswani et al. 2017, 3.2.2).

    Head r: q = W_q x, k = W_k m, v = W_v m, y = attention(q, k, v); the output is W (y₁ ∥ … ∥ y_H) + b. All have
    biases. x [*member, batch, query, width]; width = heads · head width.
    Self-attention (m = x): one dense layer `project` gives q ∥ k ∥ v. Cross-attention, chosen by `memory_width`:
    `query` reads x and `memory` reads m [*member, batch, key, memory_width], giving k ∥ v.
    `key_value_heads` G < heads: head r shares the keys and values of group r // (heads / G) (grouped-query attention,
    Ainslie et al. 2023; G = 1 is multi-query, Shazeer 2019).
    `dropout`: a rate makes a Dropout on the weights (buffer `drop.dropout`, one rate per member); None makes none.

    Starts as torch.nn.MultiheadAttention does: projections U(±√(6/(inputs + outputs))), the outputs counted
    together where torch packs them, `join` U(±1/√width), biases 0.
    """

    stacked = True

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        memory_width: int | None = None,
        key_value_heads: int | None = None,
        causal: bool = False,
        dropout: float | None = None,
    ) -> None:
        super().__init__()
        groups = heads if key_value_heads is None else key_value_heads
        if heads < 1 or width % heads:
            raise core.InputError(
                f"Attention of width {width} with {heads} heads; expected a width that the heads divide.",
                fix=f"Use a width of {max(width // max(heads, 1), 1) * max(heads, 1)}, or another number of heads.",
            )
        if groups < 1 or heads % groups:
            raise core.InputError(f"{groups} key/value heads for {heads} heads; expected a divisor of {heads}.")
        self.heads, self.groups, self.causal = heads, groups, causal
        shared = 2 * width * groups // heads
        if memory_width is None:
            bound = (6 / (2 * width + shared)) ** 0.5
            self.project: Linear | None = _dense(width, width + shared, bound)
            self.query: Linear | None = None
            self.memory: Linear | None = None
        else:
            self.project = None
            self.query = _dense(width, width, (3 / width) ** 0.5)
            self.memory = _dense(memory_width, shared, (6 / (memory_width + shared // 2)) ** 0.5)
        self.drop = None if dropout is None else Dropout(dropout)
        self.join = _dense(width, width, width**-0.5)

    def _heads(
        self,
        x: Float[Tensor, "*member batch query width"],
        memory: Float[Tensor, "*member batch key inputs"] | None,
        rotary: Rotary | None,
        start: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """q [*member, batch, H, query, head width] and k, v [*member, batch, G, key, head width]; q and k turned."""
        if self.project is not None:
            if memory is not None:
                raise core.InputError("Self-attention was given a memory.", fix="Build it with memory_width.")
            shared = self.groups * x.shape[-1] // self.heads
            turned, v = self.project(x).split((x.shape[-1] + shared, shared), -1)
            both = self._split(turned, self.heads + self.groups)
            both = both if rotary is None else rotary(both, start)  # queries and keys at once
            q, k = both.split((self.heads, self.groups), -3)
            return q, k, self._split(v, self.groups)
        if memory is None or self.query is None or self.memory is None:
            raise core.InputError("Cross-attention was given no memory.", fix="Pass what it attends to.")
        q, (k, v) = self.query(x), self.memory(memory).chunk(2, -1)
        q, k = self._split(q, self.heads), self._split(k, self.groups)
        if rotary is not None:
            q, k = rotary(q, start), rotary(k, start)
        return q, k, self._split(v, self.groups)

    @staticmethod
    def _split(x: Tensor, heads: int) -> Tensor:
        return rearrange(x, "... t (h d) -> ... h t d", h=heads)

    def forward(
        self,
        x: Float[Tensor, "*member batch query width"],
        memory: Float[Tensor, "*member batch key inputs"] | None = None,
        *,
        present: Bool[Tensor, "*member batch key"] | None = None,
        mask: Bool[Tensor, "..."] | None = None,
        bias: Float[Tensor, "..."] | None = None,
        rotary: Rotary | None = None,
        cache: KeyValueCache | None = None,
    ) -> Float[Tensor, "*member batch query width"]:
        """present: which keys are real (False = padding). mask: True where a query may attend, broadcasting to
        [*member, batch, query, key]. bias: added to the scores, broadcasting to [*member, batch, head, query, key].
        rotary: turns q and k. cache: k and v join those of the steps before, and x holds the steps after them."""
        q, k, v = self._heads(x, memory, rotary, 0 if cache is None else cache.steps)
        if cache is not None:
            k, v = cache.append(k, v)
        if self.groups < self.heads:
            k, v = (repeat(z, "... g t d -> ... (g r) t d", r=self.heads // self.groups) for z in (k, v))
        drop = self.drop if self.training else None
        y = attention(q, k, v, mask=_padding(mask, present), bias=bias, causal=self.causal, drop=drop)
        out: Tensor = self.join(rearrange(y, "... h t d -> ... t (h d)"))
        return out

    def extra_repr(self) -> str:
        groups = "" if self.groups == self.heads else f", {self.groups} key/value heads"
        return f"{self.heads} heads{groups}{', causal' if self.causal else ''}"


@torch.no_grad()
def from_torch_attention(theirs: nn.MultiheadAttention, *, cross: bool = False) -> MultiHeadAttention:
    """A MultiHeadAttention with the weights of torch's (batch first or not: ours is always batch first).

    cross: it attends to a memory of width kdim. Refused: kdim ≠ vdim, add_bias_kv, add_zero_attn, bias=False.
    """
    width = theirs.embed_dim
    odd = theirs.kdim != theirs.vdim or theirs.bias_k is not None or theirs.add_zero_attn
    if odd or theirs.in_proj_bias is None or (theirs.kdim != width and not cross):
        raise core.InputError(
            "This nn.MultiheadAttention has no counterpart here.",
            fix="It needs kdim = vdim (= embed_dim for self-attention), biases, and neither bias_kv nor zero_attn.",
        )
    ours = MultiHeadAttention(
        width,
        theirs.num_heads,
        memory_width=theirs.kdim if cross else None,
        dropout=theirs.dropout or None,
    ).to(theirs.out_proj.weight)
    if theirs.in_proj_weight is not None:
        weight = theirs.in_proj_weight
        split = weight[:width], weight[width:]
    else:
        split = theirs.q_proj_weight, torch.cat((theirs.k_proj_weight, theirs.v_proj_weight))
        weight = torch.empty(0)
    if ours.project is not None:
        ours.project.weight.copy_(weight)
        ours.project.bias.copy_(theirs.in_proj_bias)
    if ours.query is not None and ours.memory is not None:
        ours.query.weight.copy_(split[0])
        ours.memory.weight.copy_(split[1])
        ours.query.bias.copy_(theirs.in_proj_bias[:width])
        ours.memory.bias.copy_(theirs.in_proj_bias[width:])
    ours.join.weight.copy_(theirs.out_proj.weight)
    ours.join.bias.copy_(theirs.out_proj.bias)
    return ours.train(theirs.training)
