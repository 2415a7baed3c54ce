"""A transformer decoder that predicts the next token (Radford et al. 2019, GPT-2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._language import LanguageModel, LanguageTrunk

POSITIONS = ("learned", "rotary", "sinusoidal", "alibi", "none")
SD = 0.02


class GPTTrunk(LanguageTrunk):
    """Causal pre-norm blocks, and a last normalisation."""

    def __init__(self, length: int, model: "GPT") -> None:
        super().__init__()
        rate = 0.0 if model.dropout else None
        blocks = [
            nn.TransformerBlock(model.width, model.heads, causal=True, dropout=rate) for _ in range(model.layers)
        ]
        where = nn.position(model.position, width=model.width, length=length, heads=model.heads)
        self.decode = nn.TransformerEncoder(blocks, position=where, last=nn.LayerNorm(model.width))
        self.features = model.width
        for name, layer in self.decode.named_modules():
            if isinstance(layer, nn.Linear):
                last = name.endswith((".join", ".leave"))  # what a block adds to the sum of all before it
                torch_nn.init.normal_(layer.weight, std=SD * (2 * model.layers) ** -0.5 if last else SD)
                torch_nn.init.zeros_(layer.bias)

    def forward(
        self,
        x: Float[Tensor, "*member batch time width"],
        memory: Sequence[nn.KeyValueCache] | None = None,
    ) -> Float[Tensor, "*member batch time features"]:
        h: Tensor = self.decode(x, caches=memory)
        return h

    def memory(self, steps: int) -> list[nn.KeyValueCache]:
        return self.decode.caches(steps)


@dataclass(frozen=True, kw_only=True)
class GPT(LanguageModel):
    """`layers` pre-norm blocks of `heads` heads (Radford et al. 2019).

    position: "rotary" (Su et al. 2021), "learned" vectors as in GPT-2, "sinusoidal", "alibi" or "none". On
    tiny-shakespeare rotary learnt in 2,000 steps more than learned vectors (1.78 nats against 1.91). Weights start at
    N(0, 0.02²), those that write into the sum of all blocks at 0.02/√(2 layers), biases at 0, as in GPT-2. Against
    GPT-2 and nanoGPT: the table of the embedding holds 0 for token 0, which no text has.
    """

    name: ClassVar[str] = "gpt"

    layers: int = 4
    heads: int = 4
    position: str = "rotary"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers < 1 or self.heads < 1 or self.width % self.heads:
            raise core.InputError(
                f"layers={self.layers}, heads={self.heads}, width={self.width}.",
                fix="Use at least 1 of each, and a width that the heads divide.",
            )
        if self.position not in POSITIONS:
            raise core.unknown("positional information", self.position, POSITIONS)

    def trunk(self, length: int) -> GPTTrunk:
        return GPTTrunk(length, self)
