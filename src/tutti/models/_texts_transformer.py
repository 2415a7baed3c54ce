"""A transformer encoder that reads texts (Vaswani et al. 2017; Devlin et al. 2019, without pre-training)."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor

from tutti import core, nn
from tutti.models._texts import TextModel, TextTrunk


class TransformerTrunk(TextTrunk):
    """Blocks of attention over the tokens that are there, and the mean of what they give."""

    def __init__(self, steps: int, model: "TextTransformer") -> None:
        super().__init__()
        rate = 0.0 if model.dropout else None
        blocks = [nn.TransformerBlock(model.width, model.heads, dropout=rate) for _ in range(model.layers)]
        where = nn.position(model.position, width=model.width, length=steps, heads=model.heads)
        self.encode = nn.TransformerEncoder(blocks, position=where, last=nn.LayerNorm(model.width))
        self.mean = nn.SetPool("mean")
        self.features = model.width

    def forward(
        self, x: Float[Tensor, "*member batch time width"], present: Bool[Tensor, "*member batch time"]
    ) -> Float[Tensor, "*member batch features"]:
        pooled: Tensor = self.mean(self.encode(x, present=present), present)
        return pooled


@dataclass(frozen=True, kw_only=True)
class TextTransformer(TextModel):
    """`layers` pre-norm blocks of `heads` heads; the mean over the tokens; a dense layer.

    position: one of nn.POSITIONS that keeps the width.
    """

    name: ClassVar[str] = "transformer"

    heads: int = 4
    layers: int = 2
    position: str = "rotary"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.heads < 1 or self.layers < 1:
            raise core.InputError(f"heads={self.heads}, layers={self.layers}.", fix="Use at least 1.")
        if self.position in ("one_hot", "concatenated"):
            raise core.InputError(f"The position {self.position!r} widens its input.", fix='Take "rotary".')

    def trunk(self, steps: int) -> TransformerTrunk:
        return TransformerTrunk(steps, self)
