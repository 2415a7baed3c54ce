"""Recurrent networks that read texts word by word, in both directions."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor

from tutti import core, nn
from tutti.models._texts import TextModel, TextTrunk

CELLS = ("lstm", "gru")


class RecurrentTrunk(TextTrunk):
    """States over the tokens, and the greatest of each unit (Conneau et al. 2017), their mean, or the last."""

    def __init__(self, model: "TextLSTM") -> None:
        super().__init__()
        layer = nn.LSTM if model.cell == "lstm" else nn.GRU
        self.read = layer(model.width, model.hidden, layers=model.layers, bidirectional=model.bidirectional)
        self.pool = None if model.pool == "last" else nn.SetPool(model.pool)
        self.ways = 2 if model.bidirectional else 1
        self.features = self.ways * model.hidden

    def forward(
        self, x: Float[Tensor, "*member batch time width"], present: Bool[Tensor, "*member batch time"]
    ) -> Float[Tensor, "*member batch features"]:
        states, last = self.read(x, present.sum(-1))
        if self.pool is not None:
            pooled: Tensor = self.pool(states, present)
            return pooled
        h: Tensor = last[0] if isinstance(last, tuple) else last
        return h[..., -self.ways :, :, :].transpose(-3, -2).flatten(-2)


@dataclass(frozen=True, kw_only=True)
class TextLSTM(TextModel):
    """`layers` recurrent layers (cell "lstm" or "gru") of `hidden` units, in both directions if `bidirectional`.

    pool: what of the states goes into the last dense layer: the greatest of each unit over the text ("max"), the
    "mean", or the state after the last word ("last"; backwards: after the first).
    """

    name: ClassVar[str] = "lstm"

    window: int = 128
    cell: str = "lstm"
    hidden: int = 64
    layers: int = 1
    bidirectional: bool = True
    pool: str = "max"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cell not in CELLS:
            raise core.unknown("recurrent cell", self.cell, CELLS)
        if self.pool not in ("max", "mean", "last"):
            raise core.unknown("pooling of a text", self.pool, ("max", "mean", "last"))
        if self.hidden < 1 or self.layers < 1:
            raise core.InputError(f"hidden={self.hidden}, layers={self.layers}.", fix="Use at least 1.")

    def trunk(self, steps: int) -> RecurrentTrunk:
        return RecurrentTrunk(self)
