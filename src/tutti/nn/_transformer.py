"""Transformer blocks: items mix by attention, then each passes through a small network of its own."""

from collections.abc import Callable, Sequence

from jaxtyping import Bool, Float
from torch import Tensor, nn

from tutti import core
from tutti.nn._activations import activation as activation_of
from tutti.nn._attention import KeyValueCache
from tutti.nn._drop import DropPath
from tutti.nn._linear import Linear
from tutti.nn._multihead import MultiHeadAttention
from tutti.nn._normalise import LayerNorm
from tutti.nn._positions import Rotary
from tutti.nn._regularise import Dropout


class FeedForward(nn.Module):
    """W₂ φ(W₁ x + b₁) + b₂ for each item; gated: W₂ (φ(W₁ x + b₁) ⊙ (W₃ x + b₃)) + b₂ (GLU variants, Shazeer 2020).

    `hidden` units behind φ (`activation`); W₁ and W₃ stand in one dense layer. Gated "silu" is SwiGLU, and costs as
    much as plain at 2/3 of the hidden units. `dropout`: a rate makes a Dropout before W₂; None makes none.
    """

    stacked = True

    def __init__(
        self, width: int, hidden: int, *, activation: str = "gelu", gated: bool = False, dropout: float | None = None
    ) -> None:
        super().__init__()
        self.gated = gated
        self.enter = Linear(width, 2 * hidden if gated else hidden)
        self.activation = activation_of(activation)
        self.drop = None if dropout is None else Dropout(dropout)
        self.leave = Linear(hidden, width)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        h = self.enter(x)
        if self.gated:
            h, gate = h.chunk(2, -1)
            h = self.activation(h) * gate
        else:
            h = self.activation(h)
        y: Tensor = self.leave(h if self.drop is None else self.drop(h))
        return y


class TransformerBlock(nn.Module):
    """x + attention, then x + mlp, with normalisation before each branch ("pre") or after each sum ("post").

    post (Vaswani et al. 2017): x ← N(x + A(x)); x ← N(x + M(x)). pre (Xiong et al. 2020): x ← x + A(N(x)); x ← x +
    M(N(x)); a stack of pre blocks ends in a normalisation of its own. `causal` makes it a decoder block.
    `memory_width`: a third branch between the two attends to an encoder's output (the original decoder).
    `mlp` is any module on [..., width]; by default FeedForward(width, 4 · width). `normalise` builds N from a width.
    `dropout`: a rate makes Dropout on the attention weights, inside the default mlp and behind each branch.
    `path`: a rate makes DropPath behind each branch.

    x [*member, batch, time, width]. Law: without causality and positions, permuting the items permutes the output.
    """

    stacked = True

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        mlp: nn.Module | None = None,
        norm: str = "pre",
        normalise: Callable[[int], nn.Module] = LayerNorm,
        causal: bool = False,
        key_value_heads: int | None = None,
        memory_width: int | None = None,
        dropout: float | None = None,
        path: float | None = None,
    ) -> None:
        super().__init__()
        if norm not in ("pre", "post"):
            raise core.unknown("place of the normalisation", norm, ("pre", "post"))
        self.norm = norm
        self.attend = MultiHeadAttention(
            width, heads, key_value_heads=key_value_heads, causal=causal, dropout=dropout
        )
        self.attend_norm = normalise(width)
        self.cross, self.cross_norm = None, None
        if memory_width is not None:
            self.cross = MultiHeadAttention(width, heads, memory_width=memory_width, dropout=dropout)
            self.cross_norm = normalise(width)
        self.mlp = FeedForward(width, 4 * width, dropout=dropout) if mlp is None else mlp
        self.mlp_norm = normalise(width)
        after: list[nn.Module] = [] if dropout is None else [Dropout(dropout)]
        after += [] if path is None else [DropPath(path)]
        self.after = nn.ModuleList(after)

    def _branch(self, x: Tensor, norm: nn.Module, run: Callable[[Tensor], Tensor]) -> Tensor:
        y = run(norm(x) if self.norm == "pre" else x)
        for layer in self.after:
            y = layer(y)
        y = x + y
        return y if self.norm == "pre" else norm(y)

    def forward(
        self,
        x: Float[Tensor, "*member batch time width"],
        memory: Float[Tensor, "*member batch key inputs"] | None = None,
        *,
        present: Bool[Tensor, "*member batch time_so_far"] | None = None,
        memory_present: Bool[Tensor, "*member batch key"] | None = None,
        mask: Bool[Tensor, "..."] | None = None,
        bias: Float[Tensor, "..."] | None = None,
        rotary: Rotary | None = None,
        cache: KeyValueCache | None = None,
    ) -> Float[Tensor, "*member batch time width"]:
        """present, mask, bias, rotary and cache as in MultiHeadAttention, for the self-attention."""

        def attend(h: Tensor) -> Tensor:
            y: Tensor = self.attend(h, present=present, mask=mask, bias=bias, rotary=rotary, cache=cache)
            return y

        x = self._branch(x, self.attend_norm, attend)
        if self.cross is not None and self.cross_norm is not None:
            cross = self.cross
            x = self._branch(x, self.cross_norm, lambda h: cross(h, memory, present=memory_present))
        return self._branch(x, self.mlp_norm, self.mlp)


class TransformerEncoder(nn.Module):
    """Blocks one after another, with positional information: of causal blocks, a decoder such as GPT's.

    `position` (see `position`): on the input, it is added or joined before the first block; on scores, its bias is
    worked out once and given to every block; Rotary turns queries and keys of every block. `last`: the normalisation
    behind pre-norm blocks. Values of absent items are set to 0 first, so that padding may hold anything.

    Laws: padding changes nothing for the items that are there; causal blocks see no later item; generation with
    `caches` equals one pass over the whole sequence.
    """

    stacked = True

    def __init__(
        self,
        blocks: Sequence[TransformerBlock],
        *,
        position: nn.Module | None = None,
        last: nn.Module | None = None,
    ) -> None:
        super().__init__()
        where = None if position is None else getattr(position, "where", None)
        if position is not None and where not in ("input", "scores", "queries"):
            raise core.InputError(
                f"{type(position).__name__} does not say where positional information goes.",
                fix='Give its class the attribute where = "input", "scores" or "queries" (see tutti.nn.POSITIONS).',
            )
        self.where = where
        self.blocks = nn.ModuleList(blocks)
        self.position = position
        self.last = last

    def caches(self, length: int) -> list[KeyValueCache]:
        """An empty cache for every block, with room for `length` steps."""
        return [KeyValueCache(length) for _ in self.blocks]

    def forward(
        self,
        x: Float[Tensor, "*member batch time width"],
        memory: Float[Tensor, "*member batch key inputs"] | None = None,
        *,
        present: Bool[Tensor, "*member batch time_so_far"] | None = None,
        memory_present: Bool[Tensor, "*member batch key"] | None = None,
        mask: Bool[Tensor, "..."] | None = None,
        caches: Sequence[KeyValueCache] | None = None,
    ) -> Float[Tensor, "*member batch time features"]:
        """memory: what blocks with a cross-attention read. With caches, x holds the steps after those in them and
        `present` tells of all steps so far."""
        start = caches[0].steps if caches else 0
        if present is not None:
            x = x.masked_fill(~present[..., start:, None], 0)
        bias = None
        if self.position is not None and self.where == "input":
            x = self.position(x, start)
        elif self.position is not None and self.where == "scores":
            bias = self.position(x.shape[-2], start + x.shape[-2])
        rotary = self.position if isinstance(self.position, Rotary) else None
        for index, block in enumerate(self.blocks):
            x = block(
                x,
                memory,
                present=present,
                memory_present=memory_present,
                mask=mask,
                bias=bias,
                rotary=rotary,
                cache=caches[index] if caches else None,
            )
        return x if self.last is None else self.last(x)
