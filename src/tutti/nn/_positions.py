"""Where an item stands in its sequence: what tells attention, which alone knows no order, about positions.

Three ways in. On the input: a vector p for each position is added to h, or joined to it (h ∥ p). On the scores: a
bias that depends on how far the key is from the query. On queries and keys: rotation.
Each class says which in `where`.
"""

from collections.abc import Callable
from math import log2

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tutti import core
from tutti.nn._linear import Linear


def frequencies(width: int, base: float = 10_000.0) -> Float[Tensor, " pair"]:
    """ωₙ = base^(−2n/width) for the width / 2 pairs n = 0, 1, … (Vaswani et al. 2017, 3.5); width is even."""
    if width < 2 or width % 2:
        raise core.InputError(f"Sine-cosine pairs of width {width}; expected an even number.", fix="Add one.")
    return base ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)


def sinusoidal_positions(length: int, width: int, base: float = 10_000.0) -> Float[Tensor, "time width"]:
    """p_t = (sin ω₀t, cos ω₀t, sin ω₁t, …): p_s · p_t = Σₙ cos ωₙ(s − t) depends on the distance alone."""
    angle = torch.arange(length, dtype=torch.float64)[:, None] * frequencies(width, base)
    return torch.stack((angle.sin(), angle.cos()), -1).flatten(-2).float()


def sine_positions(length: int, width: int, base: float = 10_000.0) -> Float[Tensor, "time width"]:
    """p_t = (sin ω₁t, …, sin ω_d t), ω_k = base^(−k/d): sines alone.

    Their dot products do not depend on the distance alone, since sin a sin b = ½ (cos(a − b) − cos(a + b)).
    """
    order = torch.arange(1, width + 1, dtype=torch.float64)
    return (torch.arange(length, dtype=torch.float64)[:, None] * base ** (-order / width)).sin().float()


class _OnInput(nn.Module):
    """What both kinds of vectors for positions share: joining them to the input."""

    stacked = True
    where = "input"
    table: Tensor

    def __init__(self, width: int, size: int, how: str) -> None:
        super().__init__()
        if how not in ("add", "concatenate"):
            raise core.unknown("way to join positions", how, ("add", "concatenate"))
        if how == "add" and size != width:
            raise core.InputError(
                f"Positions of width {size} cannot be added to an input of width {width}.",
                fix='Join them: how="concatenate".',
            )
        self.how = how
        self.features = width if how == "add" else width + size

    def forward(
        self, x: Float[Tensor, "*member batch time width"], start: int = 0
    ) -> Float[Tensor, "*member batch time features"]:
        """h + p or h ∥ p, where the first step of x stands at position `start`."""
        length, end = self.table.shape[-2], start + x.shape[-2]
        if end > length:
            raise core.InputError(
                f"A sequence of {end} steps; there are {length} positions.", fix="Use a longer table."
            )
        p = self.table[..., None, start:end, :]
        if self.how == "add":
            return x + p
        return torch.cat((x, p.expand(*x.shape[:-1], p.shape[-1])), -1)


class FixedPositions(_OnInput):
    """A table [time, size] that is not learned, shared by all members: added to x, or joined to it."""

    constants = ("table",)

    def __init__(self, table: Float[Tensor, "time size"], width: int, how: str = "add") -> None:
        super().__init__(width, table.shape[1], how)
        self.register_buffer("table", table)


class LearnedPositions(_OnInput):
    """One learned vector per position, N(0, sd²) to begin with: parameter table [*member, length, width]."""

    def __init__(self, length: int, width: int, how: str = "add", *, sd: float = 0.02) -> None:
        super().__init__(width, width, how)
        self.table = nn.Parameter(sd * torch.randn(length, width))


def distances(queries: int, keys: int, device: torch.device | None = None) -> Float[Tensor, "query key"]:
    """|i − j| for the keys j and the last `queries` of their places i."""
    place = torch.arange(keys, device=device, dtype=torch.float32)
    return (place[keys - queries :, None] - place).abs()


def alibi_slopes(heads: int) -> Float[Tensor, " head"]:
    """2^(−8 r / H) for the heads r = 1 … H (Press et al. 2022).

    Where H is no power of two: those of the next smaller power of two, then every other one of the next larger, as
    in the authors' code.
    """
    whole = 1 << int(log2(heads))
    slopes = [2 ** (-8 * r / whole) for r in range(1, whole + 1)]
    slopes += [2 ** (-4 * r / whole) for r in range(1, 2 * (heads - whole), 2)]
    return torch.tensor(slopes)


class Alibi(nn.Module):
    """Adds −mᵣ |i − j| to the scores of head r, with the fixed slopes m of `alibi_slopes`.

    Press et al. 2022 (causal, where |i − j| = i − j); here for both directions.
    """

    stacked = True
    where = "scores"
    constants = ("slope",)
    slope: Tensor

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.register_buffer("slope", alibi_slopes(heads))

    def forward(self, queries: int, keys: int) -> Float[Tensor, "head query key"]:
        """The bias for the last `queries` of `keys` places."""
        return -self.slope[:, None, None] * distances(queries, keys, self.slope.device).to(self.slope.dtype)


class ExponentialBias(nn.Module):
    """Multiplies e^score by e^(−λᵣ |i − j|) in head r: adds −λᵣ |i − j| to the score; λᵣ = e^ρᵣ is learned.

    Parameter log_rate ρ [*member, head], starting at the logarithms of `alibi_slopes`.
    """

    stacked = True
    where = "scores"

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.log_rate = nn.Parameter(alibi_slopes(heads).log())

    def forward(self, queries: int, keys: int) -> Float[Tensor, "... head query key"]:
        """The bias for the last `queries` of `keys` places: [head, query, key], stacked [member, 1, head, …]."""
        rate = self.log_rate.exp()[..., None, None]
        rate = rate.unsqueeze(1) if self.log_rate.ndim == 2 else rate
        return -rate * distances(queries, keys, rate.device).to(rate.dtype)


class Rotary(nn.Module):
    """Turns the pairs (x_n, x_{n + width/2}) of a query or key at position t by the angle ωₙt (RoFormer, 2021).

    q_i · k_j then depends on the positions through i − j alone. Frequencies as in `frequencies`. The paper pairs
    neighbours (x_2n, x_2n+1); halves, as GPT-NeoX pairs them, are the same up to a permutation of features and
    need no strided access. No parameters; for any length.
    """

    stacked = True
    where = "queries"
    constants = ("frequency",)
    frequency: Tensor

    def __init__(self, width: int, base: float = 10_000.0) -> None:
        super().__init__()
        self.register_buffer("frequency", frequencies(width, base).float())

    def forward(self, x: Float[Tensor, "*batch time width"], start: int = 0) -> Float[Tensor, "*batch time width"]:
        """x turned; its first step stands at position `start`."""
        place = torch.arange(start, start + x.shape[-2], device=x.device, dtype=self.frequency.dtype)
        angle = place[:, None] * self.frequency
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        # (a, b) -> (a cos − b sin, b cos + a sin): the halves swapped make it three operations instead of seven
        swapped = x.roll(x.shape[-1] // 2, -1)
        return torch.addcmul(x * torch.cat((cos, cos), -1), swapped, torch.cat((-sin, sin), -1))


class ClassToken(nn.Module):
    """Puts a learned item before the first: [*member, batch, time, width] -> [*member, batch, 1 + time, width].

    Its row of the output stands for the whole sequence (BERT, ViT). Parameter token [*member, width], N(0, 0.02²).
    """

    stacked = True

    def __init__(self, width: int) -> None:
        super().__init__()
        self.token = nn.Parameter(0.02 * torch.randn(width))

    def forward(
        self, x: Float[Tensor, "*member batch time width"]
    ) -> Float[Tensor, "*member batch time_and_one width"]:
        token = self.token[..., None, None, :].expand(*x.shape[:-2], 1, -1)
        return torch.cat((token, x), -2)


class TimeConditioning(nn.Module):
    """f(t, x): x + W₂ SiLU(W₁ p(t) + b₁) + b₂, the same for all items of a sample.

    p(t) are sine-cosine pairs of the real number `scale` · t, as in diffusion models (Ho et al. 2020); the default
    scale 1000 spreads t in [0, 1] over the frequencies. x [*member, batch, time, width], t [*member, batch].
    """

    stacked = True
    constants = ("frequency",)
    frequency: Tensor

    def __init__(self, width: int, *, pairs: int = 16, scale: float = 1000.0) -> None:
        super().__init__()
        self.register_buffer("frequency", scale * frequencies(2 * pairs).float())
        self.enter, self.leave = Linear(2 * pairs, width), Linear(width, width)

    def forward(
        self, x: Float[Tensor, "*member batch time width"], t: Float[Tensor, "*member batch"]
    ) -> Float[Tensor, "*member batch time width"]:
        angle = t.unsqueeze(-1) * self.frequency
        told: Tensor = self.leave(nn.functional.silu(self.enter(torch.cat((angle.sin(), angle.cos()), -1))))
        return x + told.unsqueeze(-2)


POSITIONS: dict[str, Callable[[int, int, int], nn.Module | None]] = {
    "none": lambda width, length, heads: None,
    "one_hot": lambda width, length, heads: FixedPositions(torch.eye(length), width, "concatenate"),
    "sinusoidal": lambda width, length, heads: FixedPositions(sinusoidal_positions(length, width), width),
    "sines": lambda width, length, heads: FixedPositions(sine_positions(length, width), width),
    "learned": lambda width, length, heads: LearnedPositions(length, width),
    "concatenated": lambda width, length, heads: FixedPositions(
        sinusoidal_positions(length, width), width, "concatenate"
    ),
    "exponential": lambda width, length, heads: ExponentialBias(heads),
    "alibi": lambda width, length, heads: Alibi(heads),
    "rotary": lambda width, length, heads: Rotary(width // heads),
}
"""Name -> builds it for a width, a greatest length and a number of heads.

"one_hot" and "concatenated" widen the input: to width + length and 2 · width (`.features`).
"""


def position(name: str, *, width: int, length: int, heads: int) -> nn.Module | None:
    """The positional information of that name (None for "none"); InputError with the nearest name."""
    if name not in POSITIONS:
        raise core.unknown("positional information", name, POSITIONS)
    return POSITIONS[name](width, length, heads)
