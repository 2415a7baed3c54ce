"""Tokens in: both ends of long texts, embeddings, word dropout, and runs of words as slots of one large table.

Texts are tokens, whole numbers [*member, batch, time], and lengths [*member, batch], at least 1. Token 0 stands
behind a text's end, token 1 for what the vocabulary lacks.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from tutti import core

UNKNOWN, FIRST = 1, 2
LENGTH = 8.0  # of a text's vector of weights: each of 64 equally rare runs weighs 1
_M1, _M2, _WORD = 0x9E3779B1, 0x85EBCA77, 0xFFFFFFFF


def present_tokens(lengths: Int[Tensor, "*member batch"], steps: int) -> Bool[Tensor, "*member batch {steps}"]:
    """True for the first `lengths` of so many steps."""
    return torch.arange(steps, device=lengths.device) < lengths.unsqueeze(-1)


class BothEnds(nn.Module):
    """The tokens of texts of at most `length`; of longer ones the first quarter of it and the last three quarters."""

    stacked = True

    def __init__(self, length: int) -> None:
        super().__init__()
        if length < 1:
            raise core.InputError(f"A window of {length} tokens.", fix="Use at least 1.")
        self.length = length

    def forward(
        self, tokens: Int[Tensor, "*member batch time"], lengths: Int[Tensor, "*member batch"]
    ) -> tuple[Int[Tensor, "*member batch kept"], Int[Tensor, "*member batch"]]:
        if tokens.shape[-1] <= self.length:
            return tokens, lengths
        place = torch.arange(self.length, device=tokens.device)
        over = (lengths - self.length).clamp(min=0).unsqueeze(-1)
        source = torch.where(place < self.length // 4, place, place + over)
        return tokens.gather(-1, source), lengths.clamp(max=self.length)


class WordDropout(nn.Module):
    """In training, each token becomes "unknown" with probability `dropout` · `share` (Iyyer et al. 2015; Gal 2016).

    Tokens behind a text's end stay 0.
    """

    stacked = True
    dropout: Tensor

    def __init__(self, rate: float = 0.0, *, share: float = 1.0) -> None:
        super().__init__()
        if not 0 <= share <= 1:
            raise core.InputError(f"The share of the dropout rate is {share}; expected a number in [0, 1].")
        self.share = share
        self.register_buffer("dropout", torch.tensor(float(rate)))

    def forward(self, tokens: Int[Tensor, "*member batch time"]) -> Int[Tensor, "*member batch time"]:
        if not self.training:
            return tokens
        like = torch.empty(tokens.shape, device=tokens.device)
        lost = (core.draw_uniform(like) < (self.dropout * self.share)[..., None, None]) & (tokens > 0)
        return tokens.masked_fill(lost, UNKNOWN)


class TokenEmbedding(nn.Module):
    """Each token becomes a learned row: [*member, batch, time] -> [*member, batch, time, width].

    weight [*member, tokens, width], N(0, sd²), but 0 for token 0, which no result depends on.
    """

    stacked = True

    def __init__(self, tokens: int, width: int, *, sd: float = 1.0) -> None:
        super().__init__()
        weight = sd * torch.randn(tokens, width)
        weight[0] = 0
        self.weight = nn.Parameter(weight)

    def forward(self, tokens: Int[Tensor, "*member batch time"]) -> Float[Tensor, "*member batch time width"]:
        weight, rows = _flat(self.weight, tokens)
        return functional.embedding(rows, weight)


class RunSlots(nn.Module):
    """Texts as the runs of tokens that they hold, each once, with its weight; no parameters.

    A single token is its own slot. Runs of 2 … `longest` tokens are hashed into `buckets` slots behind those of the
    tokens (Weinberger et al. 2009; Joulin et al. 2017, fastText): x ← 32-bit (x · 0x9E3779B1 + token), then its bits
    are mixed. Runs with unknown tokens count for nothing, nor does the unknown token.
    weights: `worth` of the slot, each text's scaled to the length LENGTH. data.Texts fits it: how rare the slot is
    (TF-IDF's idf), and where the layer is `telling` also how much it tells of the classes (data/_texts_worth.py).
    forward gives slots [*member, batch, run] (−1: none) in rising order, and weights (0 there).
    """

    stacked = True
    worth: Tensor

    def __init__(self, tokens: int, *, buckets: int = 0, longest: int = 2, telling: bool = False) -> None:
        super().__init__()
        if longest < 1 or (longest > 1 and buckets < 1):
            raise core.InputError(f"Runs of up to {longest} tokens in {buckets} buckets.", fix="Use at least 1 each.")
        self.tokens, self.buckets, self.longest = tokens, buckets if longest > 1 else 0, longest
        self.slot_count = self.tokens + self.buckets
        self.telling = telling
        self.register_buffer("worth", torch.ones(self.slot_count))

    def extra_repr(self) -> str:
        return f"tokens={self.tokens}, buckets={self.buckets}, longest={self.longest}, telling={self.telling}"

    def slots(
        self, tokens: Int[Tensor, "*member batch time"], lengths: Int[Tensor, "*member batch"]
    ) -> Int[Tensor, "*member batch run"]:
        """The slot of each run, −1 where there is none; slots may repeat."""
        known = tokens >= FIRST
        found = [tokens.masked_fill(~known, -1).to(torch.int32)]
        run, whole = tokens.long(), known
        for length in range(2, self.longest + 1):
            if tokens.shape[-1] < length:
                break
            later = tokens[..., length - 1 :]
            run = (run[..., : later.shape[-1]] * _M1 + later) & _WORD
            whole = whole[..., : later.shape[-1]] & known[..., length - 1 :]
            mixed = ((run ^ (run >> 15)) * _M2) & _WORD
            slot = self.tokens + (mixed ^ (mixed >> 13)) % self.buckets
            found.append(slot.masked_fill(~whole, -1).to(torch.int32))
        return torch.cat(found, -1)

    def forward(
        self, tokens: Int[Tensor, "*member batch time"], lengths: Int[Tensor, "*member batch"]
    ) -> tuple[Int[Tensor, "*member batch run"], Float[Tensor, "*member batch run"]]:
        slots = sorted_rows(self.slots(tokens, lengths))
        fresh = slots >= 0
        fresh[..., 1:] &= slots[..., 1:] != slots[..., :-1]
        weights = self.worth[slots.clamp(min=0)] * fresh
        size = weights.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        return slots.masked_fill(~fresh, -1), LENGTH * weights / size


class SlotBag(nn.Module):
    """Σ over a text's runs of weight · row of the slot: slots and weights of `RunSlots` -> [*member, batch, width].

    weight [*member, slots, width], N(0, sd²). Runs of weight 0 are not looked at. `drop`: in training each run is
    left out with probability `dropout`, a buffer, and the others divided by 1 − `dropout`.
    Gathers and adds: torch's embedding_bag sorts the rows for its gradient, which takes ten times as long.
    """

    stacked = True
    dropout: Tensor

    def __init__(self, slots: int, width: int, *, sd: float = 0.1, drop: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(sd * torch.randn(slots, width))
        self.drop = drop
        if drop:
            self.register_buffer("dropout", torch.tensor(0.0))

    def forward(
        self, slots: Int[Tensor, "*member batch run"], weights: Float[Tensor, "*member batch run"]
    ) -> Float[Tensor, "*member batch width"]:
        if self.drop and self.training:
            rate = self.dropout[..., None, None]
            weights = weights * (core.draw_uniform(weights) >= rate) / (1 - rate)
        table, rows = _flat(self.weight, slots)
        rows, shares = rows.flatten(0, -2), weights.flatten(0, -2).to(table.dtype)
        real = shares != 0
        text = torch.arange(len(rows), device=rows.device).unsqueeze(1).expand(rows.shape)[real]
        parts = table.index_select(0, rows[real]) * shares[real].unsqueeze(1)
        total = parts.new_zeros(len(rows), table.shape[1]).index_add(0, text, parts)
        return total.view(*weights.shape[:-1], table.shape[1])


def sorted_rows(x: Int[Tensor, "*batch run"]) -> Int[Tensor, "*batch run"]:
    """Each row in rising order; on a CPU by NumPy, which sorts whole numbers ten times as fast."""
    if x.device.type != "cpu" or torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return x.sort(-1).values
    return torch.from_numpy(np.sort(x.numpy(), axis=-1))


def _flat(weight: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The tables of all members below each other, and the rows in them."""
    if weight.ndim == 2:
        return weight, rows
    member = torch.arange(weight.shape[0], device=rows.device, dtype=rows.dtype) * weight.shape[1]
    return weight.flatten(0, 1), rows + member[:, None, None]
